"""The webhook receiver: verification, and the ways in which it can misbehave."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def _post(url: str, *, secret: str = SECRET, at: datetime | None = None, **options: Any) -> httpx.Response:
    at = at or datetime.now(UTC)
    body = json.dumps({"type": "task.delivered"})
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign("msg_1", at, body),
    }
    return httpx.post(f"{url}/hooks/winnow", content=body, headers=headers, **options)


def test_signed_delivery_is_verified_and_kept(receiver: Any) -> None:
    receiver.control(secrets=[SECRET])

    assert _post(receiver.url).status_code == 200
    (delivery,) = receiver.deliveries()
    assert delivery["verified"]
    assert (delivery["path"], delivery["body"]) == ("/hooks/winnow", {"type": "task.delivered"})


def test_either_of_two_overlapping_secrets_will_do(receiver: Any) -> None:
    receiver.control(secrets=["whsec_" + "A" * 32, SECRET])

    assert _post(receiver.url).status_code == 200


@pytest.mark.parametrize(
    "wrong", [{"secret": "whsec_" + "B" * 32}, {"at": datetime.now(UTC) - timedelta(hours=1)}]
)
def test_forged_or_stale_delivery_is_refused(receiver: Any, wrong: dict[str, Any]) -> None:
    receiver.control(secrets=[SECRET])

    assert _post(receiver.url, **wrong).status_code == 401
    assert not receiver.deliveries()[0]["verified"]


def test_fails_as_often_as_asked_then_recovers(receiver: Any) -> None:
    receiver.control(secrets=[SECRET], fail_next=2, fail_status=503, retry_after_s=4)
    answers = [_post(receiver.url) for _ in range(3)]

    assert [answer.status_code for answer in answers] == [503, 503, 200]
    assert answers[0].headers["retry-after"] == "4"
    assert len(receiver.deliveries()) == 3


def test_redirects_hangs_and_drops(receiver: Any) -> None:
    receiver.control(secrets=[SECRET], redirect_next=1)
    assert _post(receiver.url).status_code == 302
    receiver.control(drop_next=1)
    with pytest.raises(httpx.RemoteProtocolError):
        _post(receiver.url)
    receiver.control(hang_next=1)
    with pytest.raises(httpx.ReadTimeout):
        _post(receiver.url, timeout=0.3)

    assert [delivery["answered"] for delivery in receiver.deliveries()] == [302, "reply_lost", "hang"]

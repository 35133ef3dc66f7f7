"""The simulated fal queue, driven by fal's own client."""

import hashlib
from collections.abc import Callable, Iterator
from typing import Any

import fal_client
import fal_client.client
import httpx
import pytest

MODEL = "fal-ai/flux/schnell"


@pytest.fixture
def connect(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Any], fal_client.SyncClient]]:
    made = []

    def connected(fal: Any) -> fal_client.SyncClient:
        monkeypatch.setattr(fal_client.client, "QUEUE_URL_FORMAT", f"{fal.url}/")
        monkeypatch.setattr(fal_client.client, "RUN_URL_FORMAT", f"{fal.url}/sync/")
        made.append(fal_client.SyncClient(key="a-key", default_timeout=20))
        return made[-1]

    yield connected
    for client in made:
        client._client.close()


@pytest.fixture
def client(fal: Any, connect: Callable[[Any], fal_client.SyncClient]) -> fal_client.SyncClient:
    return connect(fal)


def test_submit_runs_through_the_queue_to_pictures(fal: Any, client: fal_client.SyncClient) -> None:
    fal.control(latency_s=0.3)
    handle = client.submit(MODEL, {"prompt": "a headshot", "num_images": 2, "seed": 5}, priority="low")
    stages = [type(event).__name__ for event in handle.iter_events(with_logs=True, interval=0.05)]
    answer = handle.get()

    assert stages[-1] == "Completed"
    assert "InProgress" in stages
    assert answer["seed"] == 5
    assert answer["has_nsfw_concepts"] == [False, False]
    pictures = [httpx.get(image["url"]) for image in answer["images"]]
    assert {picture.headers["content-type"] for picture in pictures} == {"image/jpeg"}
    served = {hashlib.sha256(picture.content).hexdigest() for picture in pictures}
    assert served == {line["sha256"] for line in fal.truth()}
    assert len(served) == 2


def test_waiting_requests_show_their_place_in_the_queue(start: Any, connect: Any) -> None:
    fal = start("flawless-fal", concurrency=1)
    fal.control(latency_s=5)
    client = connect(fal)
    handles = [client.submit(MODEL, {"prompt": "x", "seed": n}) for n in range(3)]

    assert isinstance(handles[0].status(), fal_client.InProgress)
    assert [handle.status().position for handle in handles[1:]] == [0, 1]


def test_sync_run_returns_the_same_pictures_as_the_queue(fal: Any, client: fal_client.SyncClient) -> None:
    wanted = {"prompt": "a headshot", "seed": 11, "image_size": {"width": 512, "height": 512}}
    by_queue = client.subscribe(MODEL, wanted)
    at_once = client.run(MODEL, wanted)

    assert _content(by_queue) == _content(at_once)
    assert [line["billed_usd_micro"] for line in fal.ledger()["lines"]] == [3000, 3000]
    assert len(fal.ledger()["billed_twice"]) == 1


def test_cancelled_while_queued_is_not_billed(fal: Any, client: fal_client.SyncClient) -> None:
    fal.control(stuck_next=1)
    handle = client.submit(MODEL, {"prompt": "x"})
    assert isinstance(handle.status(), fal_client.Queued)
    handle.cancel()

    status = handle.status()
    assert isinstance(status, fal_client.Completed)
    assert status.error == "Request was cancelled"
    assert fal.ledger()["lines"][0]["stage"] == "canceled"
    assert fal.ledger()["billed_usd_micro"] == 0


def test_cancelled_while_running_is_billed(fal: Any, client: fal_client.SyncClient) -> None:
    fal.control(latency_s=30)
    handle = client.submit(MODEL, {"prompt": "x"})
    assert isinstance(handle.status(), fal_client.InProgress)
    handle.cancel()

    assert fal.ledger()["billed_usd_micro"] == 3000


def test_invalid_input_is_answered_in_the_validation_shape(client: fal_client.SyncClient) -> None:
    with pytest.raises(fal_client.FalClientHTTPError) as caught:
        client.submit(MODEL, {"num_images": 1})

    assert caught.value.status_code == 422
    problem = caught.value.response.json()["detail"][0]
    assert problem["loc"] == ["body", "prompt"]
    assert problem["type"] == "missing"


def test_filtered_content_is_refused_and_not_billed(fal: Any, client: fal_client.SyncClient) -> None:
    fal.control(filtered_next=1)
    with pytest.raises(fal_client.FalClientHTTPError) as caught:
        client.submit(MODEL, {"prompt": "x"})

    assert caught.value.response.json()["detail"][0]["type"] == "content_policy_violation"
    assert fal.ledger()["lines"] == []


def test_failed_generation_shows_in_the_result_and_is_not_billed(
    fal: Any, client: fal_client.SyncClient
) -> None:
    fal.control(failed_next=1)
    with pytest.raises(fal_client.FalClientHTTPError) as caught:
        client.subscribe(MODEL, {"prompt": "x"})

    assert caught.value.status_code == 500
    assert fal.ledger()["billed_usd_micro"] == 0


def test_lost_reply_makes_the_client_pay_twice(fal: Any, client: fal_client.SyncClient) -> None:
    fal.control(lost_reply_next=1)
    client.subscribe(MODEL, {"prompt": "x", "seed": 3})

    lines = fal.ledger()["lines"]
    assert [line["reply_lost"] for line in lines] == [True, False]
    assert len(fal.ledger()["billed_twice"]) == 1


def test_outage_answers_in_the_infrastructure_shape(fal: Any) -> None:
    fal.control(outage=True)
    answer = httpx.post(f"{fal.url}/{MODEL}", json={"prompt": "x"}, headers={"authorization": "Key k"})

    assert answer.status_code == 503
    assert answer.headers["x-fal-error-type"] == answer.json()["error_type"] == "runner_scheduling_failure"


def test_status_is_202_until_complete_and_200_after(fal: Any) -> None:
    headers = {"authorization": "Key k"}
    fal.control(latency_s=30)
    first = httpx.post(f"{fal.url}/{MODEL}", json={"prompt": "x"}, headers=headers).json()
    running = httpx.get(first["status_url"], headers=headers)
    httpx.put(first["cancel_url"], headers=headers)
    ended = httpx.get(first["status_url"], headers=headers)
    again = httpx.put(first["cancel_url"], headers=headers)

    assert (running.status_code, running.json()["status"]) == (202, "IN_PROGRESS")
    assert (ended.status_code, ended.json()["status"]) == (200, "COMPLETED")
    assert (again.status_code, again.json()["status"]) == (400, "ALREADY_COMPLETED")
    assert first["status_url"].split(first["request_id"])[0].endswith("/fal-ai/flux/requests/")


@pytest.mark.parametrize("scheme", ["", "Bearer k", "Key"])
def test_wrong_authorization_is_refused(fal: Any, scheme: str) -> None:
    answer = httpx.post(f"{fal.url}/{MODEL}", json={"prompt": "x"}, headers={"authorization": scheme})

    assert answer.status_code == 401
    assert "Authentication is required" in answer.json()["detail"]


def _content(answer: dict[str, Any]) -> list[bytes]:
    return [httpx.get(image["url"]).content for image in answer["images"]]

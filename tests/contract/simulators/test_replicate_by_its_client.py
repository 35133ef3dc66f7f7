"""The simulated Replicate, driven by Replicate's own client."""

import warnings
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from replicate.client import Client
    from replicate.exceptions import ModelError, ReplicateError

VERSION = "ab" * 32
MODEL = "black-forest-labs/flux-schnell"


@pytest.fixture
def client(replicate_api: Any) -> Iterator[Client]:
    made = Client(api_token="a-token", base_url=replicate_api.url)
    yield made
    made._client.close()


def test_run_gives_pictures(replicate_api: Any, client: Client) -> None:
    outputs = client.run(MODEL, input={"prompt": "a product shot", "num_outputs": 2, "seed": 4})

    assert [httpx.get(output).content[:3] for output in outputs] == [b"\xff\xd8\xff"] * 2
    assert {line["subject"] for line in replicate_api.truth()} == {"product"}
    assert replicate_api.ledger()["billed_usd_micro"] == 6000


def test_create_by_version_starts_and_is_found_again(client: Client) -> None:
    created = client.predictions.create(version=VERSION, input={"prompt": "x"})
    created.wait()

    assert created.status == "succeeded"
    assert created.version == VERSION
    assert client.predictions.get(created.id).output == created.output
    assert [prediction.id for prediction in client.predictions.list()] == [created.id]


def test_prefer_wait_answers_with_the_outcome(client: Client) -> None:
    assert client.predictions.create(version=VERSION, input={"prompt": "x"}, wait=5).status == "succeeded"


def test_model_predictions_hide_their_version(client: Client) -> None:
    created = client.models.predictions.create(MODEL, input={"prompt": "x"})

    assert (created.model, created.version) == (MODEL, "hidden")


def test_cancel_of_a_running_prediction_is_billed(replicate_api: Any, client: Client) -> None:
    replicate_api.control(latency_s=30)
    created = client.predictions.create(version=VERSION, input={"prompt": "x"})
    created.cancel()

    assert client.predictions.get(created.id).status == "canceled"
    assert replicate_api.ledger()["billed_usd_micro"] == 3000


def test_failed_prediction_carries_its_error_and_is_free(replicate_api: Any, client: Client) -> None:
    replicate_api.control(failed_next=1)
    with pytest.raises(ModelError, match="interrupted"):
        client.run(MODEL, input={"prompt": "x"})

    assert replicate_api.ledger()["billed_usd_micro"] == 0


def test_too_many_requests_is_raised_with_the_wait_in_words(replicate_api: Any, client: Client) -> None:
    replicate_api.control(too_many_next=1, retry_after_s=30)
    with pytest.raises(ReplicateError, match="resets in ~30s") as caught:
        client.predictions.create(version=VERSION, input={"prompt": "x"})

    assert caught.value.status == 429


def test_outage_is_retried_by_the_client_on_reads_only(replicate_api: Any, client: Client) -> None:
    replicate_api.control(outage=True)
    with pytest.raises(ReplicateError) as caught:
        client.predictions.create(version=VERSION, input={"prompt": "x"})

    assert caught.value.status == 503


def test_invalid_input_names_the_fields(client: Client, replicate_api: Any) -> None:
    with pytest.raises(ReplicateError, match="prompt"):
        client.predictions.create(version=VERSION, input={"seed": 1})
    answer = httpx.post(
        f"{replicate_api.url}/v1/predictions", json={"input": {}}, headers={"authorization": "Bearer t"}
    )

    assert answer.status_code == 422
    assert answer.json()["invalid_fields"][0]["field"] == "version"


def test_deadline_before_the_start_aborts_free_of_charge(replicate_api: Any, eventually: Any) -> None:
    replicate_api.control(stuck_next=1)
    headers = {"authorization": "Bearer t", "cancel-after": "1s"}
    created = httpx.post(
        f"{replicate_api.url}/v1/models/{MODEL}/predictions", json={"input": {"prompt": "x"}}, headers=headers
    ).json()
    assert created["status"] == "starting"

    ended = eventually(lambda: _ended(created["urls"]["get"], headers), within_s=5)
    assert ended["status"] == "aborted"
    assert replicate_api.ledger()["billed_usd_micro"] == 0


def test_missing_token_is_refused(replicate_api: Any) -> None:
    answer = httpx.get(f"{replicate_api.url}/v1/predictions")

    assert answer.status_code == 401
    assert answer.json()["title"] == "Unauthenticated"


def test_webhook_verifies_with_the_accounts_secret(
    replicate_api: Any, receiver: Any, client: Client, eventually: Any
) -> None:
    receiver.control(secrets=[client.webhooks.default.secret().key])
    created = client.predictions.create(
        version=VERSION,
        input={"prompt": "x"},
        webhook=f"{receiver.url}/hook",
        webhook_events_filter=["completed"],
    )
    delivery = eventually(lambda: next(iter(receiver.deliveries()), None), within_s=5)

    assert delivery["verified"]
    assert delivery["body"]["id"] == created.id
    assert delivery["body"]["status"] == "succeeded"


def test_forged_webhook_is_noticed(
    replicate_api: Any, receiver: Any, client: Client, eventually: Any
) -> None:
    secret = client.webhooks.default.secret().key
    Webhook(secret)
    receiver.control(secrets=[secret])
    replicate_api.control(webhook_fault="bad_signature")
    client.predictions.create(
        version=VERSION, input={"prompt": "x"}, webhook=receiver.url, webhook_events_filter=["completed"]
    )
    delivery = eventually(lambda: next(iter(receiver.deliveries()), None), within_s=5)

    assert not delivery["verified"]


def _ended(url: str, headers: dict[str, str]) -> dict[str, Any] | None:
    prediction: dict[str, Any] = httpx.get(url, headers=headers).json()
    return prediction if prediction["completed_at"] else None

"""Delivery's own walls between accounts: each holds although the one before it has let a request through."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import grpc
import pytest

from services.delivery.app.delivery_log import DeliveryLog
from services.delivery.app.endpoint_register import EndpointRegister
from services.delivery.app.outputs import Outputs
from services.delivery.app.webhooks import Webhooks
from services.delivery.domain.messages import AttemptReason, WebhookAnswered, WebhookState
from services.delivery.domain.task import End, TaskDelivery, Webhook
from services.delivery.domain.work import SendWebhook
from services.delivery.rpc import DeliveryServicer
from tests.support.clock import SetClock
from tests.unit.delivery.builders import ACCOUNT, NOW, endpoint, output, stored, task_id
from tests.unit.delivery.fakes import MemoryEndpoints, MemoryFiles, MemoryIndex, RecordingSender
from winnow.contracts.errors import NotFound
from winnow.contracts.ids import Prefix, derive_id
from winnow.eventstore import Input
from winnow.rpc.delivery.v1 import delivery_pb2 as pb

KEY = b"k" * 32
STRANGER = "acct_b"
DELIVERY = derive_id(Prefix.delivery, "one")


def ended(account_id: str = ACCOUNT, *, key: str = "outputs/x") -> TaskDelivery:
    old = stored(b"an output", key)
    return TaskDelivery(
        task_id=task_id(),
        account_id=account_id,
        outputs=(output(0).model_copy(update={"stored": old, "thumbnail": old}),),
        end=End("task.delivered", NOW, derive_id(Prefix.event, "end")),
        webhooks_planned=True,
        webhooks=(Webhook(DELIVERY, endpoint().endpoint_id, WebhookState.delivered, sending=False),),
    )


@dataclass
class States:
    """A journal that holds one task and notes what is submitted to it."""

    state: TaskDelivery
    submitted: list[Any] = field(default_factory=list)

    async def read_state(self, aggregate_id: str) -> TaskDelivery | None:
        return self.state if aggregate_id == self.state.task_id else None

    async def submit(self, input_: Input) -> Any:
        self.submitted.append(input_.message)
        return self


class LyingIndex(MemoryIndex):
    """An index that has lost its own check of the account."""

    async def task_of_delivery(self, account_id: str, delivery_id: str) -> str | None:
        del account_id, delivery_id
        return task_id()

    async def tasks_with_webhooks(self, account_id: str, limit: int) -> list[str]:
        del account_id, limit
        return [task_id()]


def log_of(states: States, index: MemoryIndex | None = None) -> DeliveryLog:
    return DeliveryLog(states, index or LyingIndex(), SetClock(NOW))


def outputs_of(states: States, files: MemoryFiles | None = None) -> Outputs:
    kept = files or MemoryFiles()
    return Outputs(
        states,
        MemoryIndex(),
        kept,
        kept,
        SetClock(NOW),
        retention_s=86_400,
        outputs_bucket="outputs",
        name_key=KEY,
    )


async def test_a_redelivery_is_refused_by_the_state_although_the_index_has_let_it_through():
    states = States(ended())
    with pytest.raises(NotFound):
        await log_of(states).redeliver(STRANGER, DELIVERY)
    assert states.submitted == []
    await log_of(states).redeliver(ACCOUNT, DELIVERY)
    assert len(states.submitted) == 1


async def test_a_redelivery_is_refused_by_the_index_although_the_state_would_not():
    states = States(ended(STRANGER))
    index = MemoryIndex()
    await index.note_webhooks(task_id(), ACCOUNT, [DELIVERY], NOW)
    with pytest.raises(NotFound):
        await log_of(states, index).redeliver(STRANGER, DELIVERY)
    assert states.submitted == []


async def test_a_refused_redelivery_says_the_same_as_an_unknown_one():
    states = States(ended())
    with pytest.raises(NotFound) as foreign:
        await log_of(states).redeliver(STRANGER, DELIVERY)
    with pytest.raises(NotFound) as unknown:
        await log_of(states, MemoryIndex()).redeliver(STRANGER, derive_id(Prefix.delivery, "nothing"))
    assert str(foreign.value) == str(unknown.value)


async def test_the_log_leaves_out_another_accounts_task_although_the_index_names_it():
    assert await log_of(States(ended())).lines(STRANGER, "", 0) == []
    assert await log_of(States(ended())).lines(STRANGER, task_id(), 0) == []
    assert len(await log_of(States(ended())).lines(ACCOUNT, "", 0)) == 1


async def test_links_are_refused_to_another_account_as_to_a_task_that_is_not():
    with pytest.raises(NotFound) as foreign:
        await outputs_of(States(ended())).renew_links(STRANGER, task_id(), 0)
    with pytest.raises(NotFound) as unknown:
        await outputs_of(States(ended())).renew_links(STRANGER, task_id("nothing"), 0)
    assert str(foreign.value) == str(unknown.value)
    assert len(await outputs_of(States(ended())).renew_links(ACCOUNT, task_id(), 0)) == 1


async def test_a_notice_is_not_sent_to_an_endpoint_of_another_account():
    states, sender, endpoints = States(ended()), RecordingSender(), MemoryEndpoints()
    theirs = endpoint(account_id=STRANGER)
    await endpoints.add(theirs, 9)
    webhooks = Webhooks(
        states,
        endpoints,
        MemoryIndex(),
        sender,
        SetClock(NOW),
        signing_key=KEY,
        at_once_max=1,
        per_endpoint_max=1,
    )
    await webhooks.attempt(SendWebhook(task_id(), DELIVERY, theirs.endpoint_id, 1), states.state)
    assert sender.requests == []
    (returned,) = states.submitted
    assert isinstance(returned, WebhookAnswered)
    assert returned.reason is AttemptReason.endpoint_disabled


async def test_an_endpoint_of_another_account_is_neither_deleted_nor_listed():
    endpoints = MemoryEndpoints()
    await endpoints.add(endpoint(), 9)
    register = EndpointRegister(endpoints, RecordingSender(), SetClock(NOW), signing_key=KEY, endpoints_max=9)
    with pytest.raises(NotFound) as foreign:
        await register.delete(STRANGER, endpoint().endpoint_id)
    with pytest.raises(NotFound) as unknown:
        await register.delete(STRANGER, "whe_nothing")
    assert str(foreign.value) == str(unknown.value)
    assert await register.of_account(STRANGER) == []
    assert await register.of_account(ACCOUNT) == [endpoint()]


async def test_an_object_named_before_names_held_no_account_is_linked_and_swept_like_any_other():
    before = f"outputs/{ACCOUNT}/{'0' * 32}/{'1' * 64}.jpg"
    files = MemoryFiles()
    files.objects["outputs", before] = b"an output"
    outputs = outputs_of(States(ended(key=before)), files)
    (link,) = await outputs.renew_links(ACCOUNT, task_id(), 0)
    assert before in link.url
    await outputs._index.note_outputs(task_id(), ACCOUNT, [before], NOW - timedelta(days=2))
    assert await outputs.sweep() == 1
    assert files.objects == {}


@dataclass
class Refusal(Exception):  # noqa: N818 (what a servicer answers)
    status: grpc.StatusCode
    detail: str
    metadata: tuple[tuple[str, str], ...]


class Context:
    """Context of a call, as a servicer sees it."""

    async def abort(self, status: Any, detail: str, metadata: Any) -> None:
        raise Refusal(status, detail, metadata)


@pytest.mark.parametrize(
    ("method", "foreign", "unknown"),
    [
        (
            "RenewLinks",
            pb.RenewLinksRequest(account_id=STRANGER, task_id=task_id()),
            pb.RenewLinksRequest(account_id=STRANGER, task_id=task_id("nothing")),
        ),
        (
            "Redeliver",
            pb.RedeliverRequest(account_id=STRANGER, delivery_id=DELIVERY),
            pb.RedeliverRequest(account_id=STRANGER, delivery_id="dlv_nothing"),
        ),
        (
            "DeleteEndpoint",
            pb.DeleteEndpointRequest(account_id=STRANGER, endpoint_id=endpoint().endpoint_id),
            pb.DeleteEndpointRequest(account_id=STRANGER, endpoint_id="whe_nothing"),
        ),
    ],
)
async def test_a_call_for_another_account_answers_as_one_for_nothing(method: str, foreign: Any, unknown: Any):
    endpoints = MemoryEndpoints()
    await endpoints.add(endpoint(), 9)
    states = States(ended())
    register = EndpointRegister(endpoints, RecordingSender(), SetClock(NOW), signing_key=KEY, endpoints_max=9)
    servicer = DeliveryServicer(outputs_of(states), register, log_of(states), bytes)
    answers = []
    for request in (foreign, unknown):
        with pytest.raises(Refusal) as refused:
            await getattr(servicer, method)(request, Context())
        answers.append((refused.value.status, refused.value.detail, refused.value.metadata))
    assert answers[0] == answers[1]
    assert answers[0][0] is grpc.StatusCode.NOT_FOUND

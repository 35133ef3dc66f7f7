"""Taking orders and stopping them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from services.ingest.app.account_limits import AccountLimits
from services.ingest.app.notifier import Notifier
from services.ingest.app.ports import Files, Inputs, RequestAggregates
from services.ingest.app.prices import Prices
from services.ingest.app.task_queries import TaskQueries, accepted_view
from services.ingest.domain.catalogue import Catalogue, WordRule
from services.ingest.domain.orders import (
    OrderForm,
    PlaceOrder,
    cap_of,
    fingerprint_of,
    resolve,
    task_id_of,
)
from services.ingest.domain.requests import Origin, Outcome, RequestCancel, RequestState
from services.ingest.domain.sameness import is_same_order, without_defaults
from services.ingest.domain.views import TaskView
from winnow.contracts.errors import Conflict, ErrorCode, Refused, WinnowError
from winnow.contracts.values import StoredObject
from winnow.runtime.clock import Clock

CANCEL_WAIT_S: Final = 3.0
_POLL_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Requester:
    """Caller, trace of the request, and whether provider costs may be shown."""

    account_id: str
    correlation_id: str
    traceparent: str | None = None
    sees_costs: bool = False


class Orders:
    """The use cases that change tasks."""

    def __init__(  # noqa: PLR0913 (the use case that touches most ports; all by name)
        self,
        *,
        catalogue: Catalogue,
        rule: WordRule,
        requests: RequestAggregates,
        prices: Prices,
        files: Files,
        inputs: Inputs,
        limits: AccountLimits,
        queries: TaskQueries,
        notifier: Notifier,
        clock: Clock,
        deadline_slack_s: int,
    ) -> None:
        """Wire the use cases; every order promises its end ``deadline_slack_s`` seconds after its deadline."""
        self._catalogue = catalogue
        self._rule = rule
        self._requests = requests
        self._prices = prices
        self._files = files
        self._inputs = inputs
        self._limits = limits
        self._queries = queries
        self._notifier = notifier
        self._clock = clock
        self._deadline_slack_s = deadline_slack_s

    async def place(
        self, requester: Requester, idempotency_key: str, form: OrderForm
    ) -> tuple[TaskView, bool]:
        """Take an order once per idempotency key; return the task as accepted, and whether this is a repeat.

        Raises Refused with the first check that fails, Conflict when the key came with another order before.
        A repeat of an accepted order is answered from its record, and the checks do not run again.
        """
        task_id = task_id_of(requester.account_id, idempotency_key)
        input_id = f"task:{task_id}"
        try:
            order, body = await self._checked(requester, task_id, form)
            await self._files.put(order.request.key, body, order.request.content_type)
            origin = Origin(
                task_id, input_id, order.request.sha256, requester.correlation_id, requester.traceparent
            )
            outcome = await self._requests.submit(order, origin)
        except WinnowError:
            recorded = await self._requests.find(input_id, task_id)
            if recorded is None:
                raise
            outcome = self._repeated(recorded, form)
        return _accepted(outcome)

    async def cancel(self, requester: Requester, task_id: str) -> TaskView:
        """Ask for a task to stop and wait up to three seconds for its end; return the task as it then stands.

        Raises NotFound; Conflict: ``already_ended``, ``cancel_already_requested``.
        """
        view = await self._queries.task(requester.account_id, task_id)
        if view.ended:
            raise Conflict(
                ErrorCode.already_ended, f"The task has ended: {view.state}.", state=str(view.state)
            )
        origin = Origin(
            f"{task_id}:cancel", f"cancel:{task_id}", "", requester.correlation_id, requester.traceparent
        )
        with self._notifier.on(task_id) as subscription:
            outcome = await self._requests.submit(RequestCancel(task_id, requester.account_id), origin)
            if outcome.duplicate or view.cancel_requested_at is not None:
                raise Conflict(ErrorCode.cancel_already_requested, "This task was asked to stop before.")
            until_s = self._clock.monotonic_s() + CANCEL_WAIT_S
            while not view.complete and self._clock.monotonic_s() < until_s:
                await subscription.wait(_POLL_S)
                view = await self._queries.task(requester.account_id, task_id)
        self._prices.forget_balance(requester.account_id)
        return view

    async def _checked(self, requester: Requester, task_id: str, form: OrderForm) -> tuple[PlaceOrder, bytes]:
        account_id = requester.account_id
        priority_max = await self._limits.priority_max(account_id)
        order = resolve(form, self._catalogue, self._rule, priority_max)
        inputs = await self._inputs_of(account_id, form.inputs)
        quote = await self._prices.cost(order.template, order.mode, order.k)
        cost_cap = cap_of(form.cost_cap_usd_micro, quote, costs_shown=requester.sees_costs)
        price = await self._prices.price(order.template, order.mode, order.k)
        await self._prices.check_credits(account_id, price)
        form = without_defaults(form, self._catalogue, quote.cost_cap_default_usd_micro)
        body = form.request_object()
        sha256 = fingerprint_of(body)
        # The name holds the content's hash: a second body under the same idempotency key, which will be
        # refused, must not overwrite the first one's.
        stored = StoredObject(
            bucket=self._files.bucket,
            key=f"inputs/{account_id}/{task_id}/request-{sha256}.json",
            sha256=sha256,
            size_bytes=len(body),
            content_type="application/json",
        )
        placed = PlaceOrder(
            task_id=task_id,
            account_id=account_id,
            order=order,
            price=price,
            cost_cap_usd_micro=cost_cap,
            request=stored,
            inputs=inputs,
            label=form.label,
            deadline_slack_s=self._deadline_slack_s,
        )
        return placed, body

    def _repeated(self, recorded: RequestState, form: OrderForm) -> Outcome:
        if recorded.accepted is None or not is_same_order(form, self._catalogue, recorded.accepted):
            raise _reused()
        return Outcome(recorded, duplicate=True)

    async def _inputs_of(self, account_id: str, input_ids: Sequence[str]) -> tuple[StoredObject, ...]:
        if not input_ids:
            return ()
        found = await self._inputs.find(account_id, input_ids)
        for place, input_id in enumerate(input_ids):
            if input_id not in found:
                raise Refused(ErrorCode.invalid_request, "There is no such input.", pointer=f"inputs/{place}")
        return tuple(found[input_id].stored for input_id in input_ids)


def _accepted(outcome: Outcome) -> tuple[TaskView, bool]:
    state = outcome.state
    if state.accepted is None or state.at is None:
        raise _reused()
    return accepted_view(state.accepted, state.at), outcome.duplicate


def _reused() -> Conflict:
    return Conflict(ErrorCode.idempotency_key_reused, "This idempotency key was used for another request.")

"""Balances, and what administrators grant and refund."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime
from typing import Final

from services.ingest.app.notifier import Notifier
from services.ingest.app.ports import Ledger, RequestAggregates, Views
from services.ingest.app.prices import Prices
from services.ingest.domain.answers import Balance, RefundStatus, RefundView
from services.ingest.domain.keys import check_future
from services.ingest.domain.requests import (
    OrderGrant,
    OrderRefund,
    Origin,
    Outcome,
    RefundOrdered,
    grant_id_of,
    refund_id_of,
)
from winnow.contracts.commands import GrantSource
from winnow.contracts.errors import Conflict, ErrorCode, NotFound, Refused, Unavailable
from winnow.contracts.ids import refund_entry_id
from winnow.contracts.money import format_micro
from winnow.runtime.clock import Clock

APPLIED_WAIT_S: Final = 3.0
_POLL_S: Final = 0.25


class Accounts:
    """The use cases about credits."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        requests: RequestAggregates,
        views: Views,
        prices: Prices,
        notifier: Notifier,
        clock: Clock,
    ) -> None:
        """Wire the use cases."""
        self._ledger = ledger
        self._requests = requests
        self._views = views
        self._prices = prices
        self._notifier = notifier
        self._clock = clock

    async def balance(self, account_id: str) -> Balance:
        """Return the balance from the books."""
        return await self._ledger.balance(account_id)

    async def grant(
        self,
        *,
        account_id: str,
        amount_credits_micro: int,
        source: GrantSource,
        expires_at: datetime | None,
        idempotency_key: str,
        correlation_id: str,
    ) -> tuple[Outcome, bool]:
        """Grant credits once per idempotency key; also return whether the books hold them already.

        Waits up to three seconds for the ledger. Raises Conflict when the key came with another grant before, and
        Refused with ``out_of_bounds`` for a new grant that would have expired already.
        """
        grant_id = grant_id_of(account_id, idempotency_key)
        content = _hash(account_id, amount_credits_micro, source, expires_at)
        order = OrderGrant(grant_id, account_id, amount_credits_micro, source, expires_at)
        origin = Origin(grant_id, f"grant:{grant_id}", content, correlation_id)
        if await self._requests.find(origin.input_id, grant_id) is None:
            check_future("expires_at", expires_at, self._clock.now())
        with self._notifier.on(account_id) as subscription:
            outcome = await self._requests.submit(order, origin)
            until_s = self._clock.monotonic_s() + APPLIED_WAIT_S
            while not await self._is_booked(account_id, grant_id):
                if self._clock.monotonic_s() >= until_s:
                    return outcome, False
                await subscription.wait(_POLL_S)
        self._prices.forget_balance(account_id)
        return outcome, True

    async def refund(
        self,
        *,
        task_id: str,
        amount_credits_micro: int,
        reason: str,
        idempotency_key: str,
        correlation_id: str,
    ) -> RefundView:
        """Order a refund of part of a task's charge, once per idempotency key, and return what became of it.

        Waits up to three seconds for the ledger, which decides: of refunds that cross, it books no more than was
        charged. Raises NotFound, Refused with ``amount_not_allowed`` beyond what was charged and not yet refunded,
        Conflict when the key came with another refund before.
        """
        command_id = refund_id_of(task_id, idempotency_key)
        content = _hash(task_id, amount_credits_micro, reason)
        view = await self._views.task_anywhere(task_id)
        if view is None or view.terms is None:
            raise NotFound("There is no such task.")
        if await self._requests.find(f"refund:{command_id}", command_id) is None:
            await self._check_refundable(view.account_id, task_id, amount_credits_micro)
        order = OrderRefund(
            command_id=command_id,
            task_id=task_id,
            account_id=view.account_id,
            reservation_id=view.terms.reservation_id,
            amount_credits_micro=amount_credits_micro,
            reason=reason,
        )
        origin = Origin(command_id, f"refund:{command_id}", content, correlation_id)
        with self._notifier.on(view.account_id) as subscription:
            ordered = (await self._requests.submit(order, origin)).state.refund
            if ordered is None:
                raise Conflict(
                    ErrorCode.idempotency_key_reused, "This idempotency key was used for another request."
                )
            until_s = self._clock.monotonic_s() + APPLIED_WAIT_S
            while (refund := await self._decided_by_now(ordered)).status is RefundStatus.pending:
                if self._clock.monotonic_s() >= until_s:
                    return refund
                await subscription.wait(_POLL_S)
        self._prices.forget_balance(view.account_id)
        return refund

    async def refund_of(self, task_id: str, refund_id: str) -> RefundView:
        """Return a refund of a task and what became of it; raises NotFound."""
        state = await self._requests.find(f"refund:{refund_id}", refund_id)
        if state is None or state.refund is None or state.refund.task_id != task_id:
            raise NotFound("The task has no such refund.")
        return await self._decided(state.refund)

    async def _is_booked(self, account_id: str, grant_id: str) -> bool:
        """Return whether the books hold a grant; a ledger that is away has not said so."""
        try:
            return await self._ledger.grant_entry(account_id, grant_id) is not None
        except Unavailable:
            return False

    async def _decided_by_now(self, ordered: RefundOrdered) -> RefundView:
        """Return what was decided about a refund; a ledger that is away has not said so."""
        try:
            return await self._decided(ordered)
        except Unavailable:
            return _pending(ordered)

    async def _decided(self, ordered: RefundOrdered) -> RefundView:
        """Return what the ledger has decided about a refund; of refusals, as far as its events were read."""
        refund = _pending(ordered)
        entry_id = refund_entry_id(ordered.account_id, ordered.command_id)
        entry = await self._ledger.entry(ordered.account_id, entry_id)
        if entry is not None:
            return replace(refund, status=RefundStatus.refunded, decided_at=entry.occurred_at)
        refusal = await self._views.refund_refusal(ordered.account_id, ordered.command_id)
        if refusal is None:
            return refund
        return replace(
            refund,
            status=RefundStatus.refused,
            code=refusal.code,
            reason=refusal.reason,
            decided_at=refusal.decided_at,
        )

    async def _check_refundable(self, account_id: str, task_id: str, amount_credits_micro: int) -> None:
        view = await self._views.task(account_id, task_id)
        charged = view.settlement.settled_credits_micro if view and view.settlement else 0
        entries = await self._ledger.entries_of_task(account_id, task_id)
        refunded = sum(entry.amount_credits_micro for entry in entries if entry.kind == "refund")
        if amount_credits_micro > charged - refunded:
            raise Refused(
                ErrorCode.amount_not_allowed,
                f"{format_micro(charged - refunded, 'credits')} of this task can be refunded.",
                pointer="amount_credits_micro",
                refundable_credits_micro=charged - refunded,
            )


def _pending(ordered: RefundOrdered) -> RefundView:
    return RefundView(
        ordered.command_id,
        ordered.account_id,
        ordered.task_id,
        ordered.amount_credits_micro,
        RefundStatus.pending,
    )


def _hash(*parts: object) -> str:
    return hashlib.sha256("\x1f".join(map(str, parts)).encode()).hexdigest()

"""Records of HTTP requests: an accepted order, a wish to cancel, a grant, a refund."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Literal, assert_never

from services.ingest.domain.orders import PlaceOrder, acceptance
from winnow.contracts.commands import GrantCredits, GrantSource, RefundCredits
from winnow.contracts.decider import Decider
from winnow.contracts.envelope import Event, Instant, Message
from winnow.contracts.events import TaskAccepted, TaskCancelRequested
from winnow.contracts.ids import Prefix, derive_id
from winnow.contracts.money import Micro
from winnow.contracts.upcast import Upcaster


class GrantOrdered(Event):
    """A grant was ordered from the ledger; kept in the journal, so that a repeated request answers the same."""

    type: Literal["ingest.grant_ordered"] = "ingest.grant_ordered"
    version: Literal[1] = 1
    grant_id: str
    account_id: str
    amount_credits_micro: Micro
    source: GrantSource
    expires_at: Instant | None = None


class RefundOrdered(Event):
    """A refund was ordered from the ledger; kept in the journal."""

    type: Literal["ingest.refund_ordered"] = "ingest.refund_ordered"
    version: Literal[1] = 1
    command_id: str
    task_id: str
    account_id: str
    amount_credits_micro: Micro


REQUEST_EVENTS: Final[tuple[type[Event], ...]] = (GrantOrdered, RefundOrdered)

REQUEST_UPCASTERS: Final[tuple[Upcaster, ...]] = ()
"""The steps that lift older versions of the requests' events."""


@dataclass(frozen=True, slots=True)
class RequestCancel:
    """A client asks to stop a task."""

    task_id: str
    account_id: str


@dataclass(frozen=True, slots=True)
class OrderGrant:
    """An administrator grants credits."""

    grant_id: str
    account_id: str
    amount_credits_micro: int
    source: GrantSource
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class OrderRefund:
    """An administrator refunds part of a charge."""

    command_id: str
    task_id: str
    account_id: str
    reservation_id: str
    amount_credits_micro: int
    reason: str


Request = PlaceOrder | RequestCancel | OrderGrant | OrderRefund


@dataclass(frozen=True, slots=True)
class RequestState:
    """Record of one request. Every request is one decision, so it is final at once."""

    accepted: TaskAccepted | None = None
    cancel_requested: TaskCancelRequested | None = None
    grant: GrantOrdered | None = None
    refund: RefundOrdered | None = None
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Identity of a request: its input (unique over all instances), its content, its trace."""

    aggregate_id: str
    input_id: str
    fingerprint: str
    correlation_id: str
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Record of a request; ``duplicate`` when it had been recorded before."""

    state: RequestState
    duplicate: bool


def decide_request(request: Request, now: datetime) -> Sequence[Message]:
    """Return what a request records. That it is recorded once is the journal's part: its input is unique."""
    match request:
        case PlaceOrder():
            return acceptance(request, now)
        case RequestCancel():
            return (TaskCancelRequested(task_id=request.task_id, account_id=request.account_id),)
        case OrderGrant():
            return _grant(request)
        case OrderRefund():
            return _refund(request)
        case _:
            assert_never(request)


def evolve_request(state: RequestState, event: Event, at: datetime) -> RequestState:
    """Fold one event of the journal."""
    match event:
        case TaskAccepted():
            return replace(state, accepted=event, at=at)
        case TaskCancelRequested():
            return replace(state, cancel_requested=event, at=at)
        case GrantOrdered():
            return replace(state, grant=event, at=at)
        case RefundOrdered():
            return replace(state, refund=event, at=at)
        case _:
            return state


def grant_id_of(account_id: str, idempotency_key: str) -> str:
    """Derive a grant's id from the account and the idempotency key."""
    return derive_id(Prefix.grant, account_id, idempotency_key)


def refund_id_of(task_id: str, idempotency_key: str) -> str:
    """Derive a refund's command id from the task and the idempotency key."""
    return derive_id(Prefix.command, "refund", task_id, idempotency_key)


def _grant(order: OrderGrant) -> Sequence[Message]:
    noted = GrantOrdered(
        grant_id=order.grant_id,
        account_id=order.account_id,
        amount_credits_micro=order.amount_credits_micro,
        source=order.source,
        expires_at=order.expires_at,
    )
    command = GrantCredits(
        command_id=derive_id(Prefix.command, "grant", order.grant_id),
        account_id=order.account_id,
        grant_id=order.grant_id,
        amount_credits_micro=order.amount_credits_micro,
        source=order.source,
        expires_at=order.expires_at,
    )
    return noted, command


def _refund(order: OrderRefund) -> Sequence[Message]:
    noted = RefundOrdered(
        command_id=order.command_id,
        task_id=order.task_id,
        account_id=order.account_id,
        amount_credits_micro=order.amount_credits_micro,
    )
    command = RefundCredits(
        command_id=order.command_id,
        account_id=order.account_id,
        task_id=order.task_id,
        reservation_id=order.reservation_id,
        amount_credits_micro=order.amount_credits_micro,
        reason=order.reason,
    )
    return noted, command


REQUEST_DECIDER: Final = Decider(
    producer="ingest-api",
    state_type=RequestState,
    state_version=2,
    private_events=REQUEST_EVENTS,
    upcasters=REQUEST_UPCASTERS,
    stores_states=False,
    initial=lambda _: RequestState(),
    decide=lambda _, request, now: decide_request(request, now),
    evolve=evolve_request,
    is_final=lambda state: state.at is not None,
)
"""The rules of a request: one decision, whose input is unique over all instances."""

"""The commands: one recipient each, in that recipient's own topic."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from winnow.contracts.envelope import Command, Instant
from winnow.contracts.ids import AccountId, AttemptId, ChunkId, GrantId, ReservationId, TaskId
from winnow.contracts.money import Micro
from winnow.contracts.values import Count, GeneratedCandidate, ProfileRef, ProviderCost, StoredObject

GrantSource = Literal["plan", "topup", "promo", "rollover"]


class LedgerCommand(Command):
    """A command to the ledger about one account."""

    version: Literal[1] = 1
    account_id: AccountId


class GrantCredits(LedgerCommand):
    """Grant credits from a source, to be burnt by soonest expiry first."""

    type: Literal["GrantCredits"] = "GrantCredits"
    grant_id: GrantId
    amount_credits_micro: Annotated[Micro, Field(gt=0)]
    source: GrantSource
    expires_at: Instant | None = None


class ReserveCredits(LedgerCommand):
    """Hold credits for a task; answered by ``task.funded`` or ``task.unfunded``."""

    type: Literal["ReserveCredits"] = "ReserveCredits"
    reservation_id: ReservationId
    task_id: TaskId
    amount_credits_micro: Annotated[Micro, Field(gt=0)]
    price_per_output_credits_micro: Micro
    expires_at: Instant


class SettleCredits(LedgerCommand):
    """Charge part of a reservation (0 charges nothing) and release the rest; answered by ``task.settled``."""

    type: Literal["SettleCredits"] = "SettleCredits"
    reservation_id: ReservationId
    task_id: TaskId
    amount_credits_micro: Micro
    delivered_count: Count
    cost: ProviderCost
    reason: str


class ReleaseCredits(LedgerCommand):
    """Release a whole reservation; answered by ``task.settled``.

    For a reservation the ledger has not seen, the id is burnt, so that a late reserve is refused.
    """

    type: Literal["ReleaseCredits"] = "ReleaseCredits"
    reservation_id: ReservationId
    task_id: TaskId
    cost: ProviderCost
    reason: str


class RefundCredits(LedgerCommand):
    """Refund part of what a task was charged, to the grants it came from."""

    type: Literal["RefundCredits"] = "RefundCredits"
    task_id: TaskId
    reservation_id: ReservationId
    amount_credits_micro: Annotated[Micro, Field(gt=0)]
    reason: str


class BookCostVariance(LedgerCommand):
    """Correct what a task's bill took an attempt to cost, once its actual cost is known."""

    type: Literal["BookCostVariance"] = "BookCostVariance"
    task_id: TaskId
    reservation_id: ReservationId
    attempt_id: AttemptId
    booked_usd_micro: Micro
    actual_usd_micro: Micro


class ScoreCandidates(Command):
    """Score a chunk of a task's candidates; answered by ``candidates.scored``.

    ``request`` and ``inputs`` are those of the order: what is compared with its prompt or pictures is found there.
    """

    type: Literal["ScoreCandidates"] = "ScoreCandidates"
    version: Literal[1] = 1
    chunk_id: ChunkId
    task_id: TaskId
    account_id: AccountId
    round_index: Count
    profile: ProfileRef
    candidates: list[GeneratedCandidate]
    request: StoredObject | None = None
    inputs: list[StoredObject] = []


LEDGER_COMMANDS: Final[tuple[type[Command], ...]] = (
    GrantCredits,
    ReserveCredits,
    SettleCredits,
    ReleaseCredits,
    RefundCredits,
    BookCostVariance,
)
SCORER_COMMANDS: Final[tuple[type[Command], ...]] = (ScoreCandidates,)

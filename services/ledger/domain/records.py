"""The private events of an account: what the fold needs. The public entries are written from the same change."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from services.ledger.domain.account import Source
from winnow.contracts.envelope import Event, Instant, Value
from winnow.contracts.errors import ErrorCode
from winnow.contracts.money import Micro, SignedMicro
from winnow.contracts.upcast import Upcaster
from winnow.contracts.values import EntryKind, LotSlice


class Noted(Event):
    """An event that stays in the ledger's journal."""

    version: Literal[1] = 1


class Granted(Noted):
    """Credits were given."""

    type: Literal["ledger.granted"] = "ledger.granted"
    grant_id: str
    source: Source
    amount_credits_micro: Annotated[Micro, Field(gt=0)]
    expires_at: Instant | None


class Reserved(Noted):
    """Slices of grants were pinned for a task."""

    type: Literal["ledger.reserved"] = "ledger.reserved"
    reservation_id: str
    task_id: str
    price_per_output_credits_micro: Micro
    expires_at: Instant
    slices: list[LotSlice]


class Grace(Value):
    """A grant for credits that come back to one that has expired, of the same source; opened once for each grant."""

    grant_id: str
    of_grant_id: str
    expires_at: Instant


class Revived(Value):
    """A retired grant that credits come back to; it returns to the account's state with nothing left."""

    grant_id: str
    source: Source
    granted_credits_micro: Micro
    expires_at: Instant | None
    sequence: int
    grace_id: str | None = None
    grace_of: str | None = None


class ReservationEnded(Noted):
    """A reservation ended: what was charged, and which grants the rest went back to."""

    type: Literal["ledger.reservation_ended"] = "ledger.reservation_ended"
    reservation_id: str
    by: EntryKind
    charged: list[LotSlice]
    returned: list[LotSlice]
    graces: list[Grace] = Field(default_factory=list)
    cost_is_booked: bool
    graced: list[LotSlice] = Field(default=[])
    """Slices that each grace receives; where it is missing, all that is returned to it."""


class Refunded(Noted):
    """Part of a charge went back."""

    type: Literal["ledger.refunded"] = "ledger.refunded"
    reservation_id: str
    returned: list[LotSlice]
    graces: list[Grace] = Field(default_factory=list)
    graced: list[LotSlice] = Field(default=[])
    revived: list[Revived] = Field(default=[])


class GrantExpired(Noted):
    """Expiry of what was left of a grant."""

    type: Literal["ledger.grant_expired"] = "ledger.grant_expired"
    grant_id: str
    amount_credits_micro: Micro


class GrantRetired(Noted):
    """A grant without credits left the account's state."""

    type: Literal["ledger.grant_retired"] = "ledger.grant_retired"
    grant_id: str


class ReservationRefused(Noted):
    """A reservation id is refused for good: not funded, too late, or released before it was seen."""

    type: Literal["ledger.reservation_refused"] = "ledger.reservation_refused"
    reservation_id: str
    code: ErrorCode
    shortfall_credits_micro: Micro = 0


class LateCostBooked(Noted):
    """The provider cost of a reservation that had expired was booked; its charge is lost to the house."""

    type: Literal["ledger.late_cost_booked"] = "ledger.late_cost_booked"
    reservation_id: str
    absorbed_credits_micro: Micro


class VarianceBooked(Noted):
    """The cost of an attempt turned out other than it was booked with its task's bill."""

    type: Literal["ledger.variance_booked"] = "ledger.variance_booked"
    attempt_id: str
    variance_usd_micro: SignedMicro


class CommandRefused(Noted):
    """A command changed nothing, and why."""

    type: Literal["ledger.command_refused"] = "ledger.command_refused"
    command: str
    subject_id: str
    code: ErrorCode
    reason: str


PRIVATE_EVENTS: Final[tuple[type[Event], ...]] = (
    Granted,
    Reserved,
    ReservationEnded,
    Refunded,
    GrantExpired,
    GrantRetired,
    ReservationRefused,
    LateCostBooked,
    VarianceBooked,
    CommandRefused,
)

UPCASTERS: Final[tuple[Upcaster, ...]] = ()
"""The steps that lift older versions of the private events."""

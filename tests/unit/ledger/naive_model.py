"""A naive model of an account: lots, holds and sums, written without the rules of the ledger."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.unit.ledger.builders import PRICE, START

GRACE = timedelta(hours=24)


@dataclass
class Lot:
    """A grant, one unit of credit at a time: ``left`` is a plain number."""

    name: str
    promo: bool
    expires_at: datetime | None
    order: int
    left: int = 0
    grace: Lot | None = None

    def is_live(self, now: datetime) -> bool:
        return self.expires_at is None or now < self.expires_at


@dataclass
class Hold:
    """A reservation as the list of lots its credits came from, one element for each credit."""

    credits: list[Lot]
    expires_at: datetime
    price: int
    state: str = "open"
    charged: list[Lot] = field(default_factory=list)


class Model:
    """The ledger with nothing but lists, recomputed each time; credits are counted one by one."""

    def __init__(self) -> None:
        self.now = START
        self.lots: list[Lot] = []
        self.holds: dict[int, Hold] = {}
        self.refused: set[int] = set()
        self.burnt: set[int] = set()
        self.granted = self.spent = self.refunded = self.gone = 0

    def available(self) -> int:
        return sum(lot.left for lot in self.lots if lot.is_live(self.now))

    def held(self) -> int:
        return sum(len(hold.credits) for hold in self.holds.values() if hold.state == "open")

    def drop_expired(self) -> None:
        for lot in self.lots:
            if not lot.is_live(self.now):
                self.gone += lot.left
                lot.left = 0

    def grant(self, name: str, amount: int, *, promo: bool, expires_at: datetime | None) -> None:
        self.granted += amount
        self.lots.append(Lot(name, promo, expires_at, len(self.lots), amount))

    def reserve(self, name: int, amount: int, expires_at: datetime) -> bool:
        if name in self.refused or name in self.burnt or expires_at <= self.now or self.available() < amount:
            self.refused.add(name)
            return False
        taken = []
        for _ in range(amount):
            live = [lot for lot in self.lots if lot.left and lot.is_live(self.now)]
            never = START + timedelta(days=9999)
            lot = min(
                live,
                key=lambda open_grant: (
                    open_grant.expires_at or never,
                    not open_grant.promo,
                    open_grant.order,
                ),
            )
            lot.left -= 1
            taken.append(lot)
        self.holds[name] = Hold(taken, expires_at, PRICE)
        return True

    def end(self, name: int, charge: int, *, grace: bool = True) -> None:
        hold = self.holds[name]
        hold.state = "ended"
        hold.charged, rest = hold.credits[:charge], hold.credits[charge:]
        self.spent += charge
        self._back(rest, grace=grace)

    def refund(self, name: int, amount: int) -> bool:
        hold = self.holds.get(name)
        if hold is None or hold.state != "ended" or len(hold.charged) < amount:
            return False
        back, hold.charged = hold.charged[-amount:], hold.charged[: len(hold.charged) - amount]
        self.refunded += amount
        self._back(back[::-1], grace=True)
        return True

    def _back(self, credits_: list[Lot], *, grace: bool) -> None:
        for lot in credits_:
            into = lot
            if grace and not lot.is_live(self.now) and lot.name != "grace":
                if lot.grace is None:
                    lot.grace = Lot("grace", lot.promo, self.now + GRACE, len(self.lots))
                    self.lots.append(lot.grace)
                # Once its one grace is over, nothing lengthens a lot again.
                into = lot.grace if lot.grace.is_live(self.now) else lot
            into.left += 1
        self.drop_expired()

"""Script of one run: the orders that clients place and the faults that strike, all drawn from a seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from enum import StrEnum

SERVICES = ("ingest", "ledger", "router", "scorer", "delivery")


class Kind(StrEnum):
    """Effect of a fault on the call, or the process, that it strikes."""

    crash_before = "crash_before"
    crash_after = "crash_after"
    fail = "fail"
    lose_reply = "lose_reply"
    slow = "slow"
    rewind = "rewind"
    half = "half"
    kill = "kill"
    rebalance = "rebalance"
    stall = "stall"


@dataclass(frozen=True, slots=True)
class Fault:
    """``place`` is ``service.call`` and ``nth`` counts those calls from 0; for a timed fault ``nth`` is milliseconds."""

    place: str
    nth: int
    kind: Kind
    seconds: float = 0.0

    def __str__(self) -> str:
        """Write it for people."""
        seconds = f" {self.seconds:g} s" if self.seconds else ""
        if self.kind in TIMED:
            return f"{self.kind} {self.place} at {self.nth / 1000:g} s{seconds}"
        return f"{self.kind} at call {self.nth} of {self.place}{seconds}"


@dataclass(frozen=True, slots=True)
class Order:
    """One task as a client places it; ``quality`` decides, with the seed, which candidates are good."""

    number: int
    account: int
    k: int
    at_s: float
    mode: str
    pass_percent: int
    deadline_s: int = 60
    cancel_after_s: float | None = None
    refund_percent: int = 0
    repeats: int = 0


@dataclass(frozen=True, slots=True)
class Script:
    """A run, whole: what it does depends on this and on nothing else."""

    seed: int
    orders: tuple[Order, ...]
    grants: tuple[int, ...]
    faults: tuple[Fault, ...]
    shards: int = 2
    replicas: int = 1
    promos: tuple[float | None, ...] = ()
    """For each account, after how many seconds a promo grant of 3 credits expires; None: it has none."""
    refusals_percent: int = 6
    """Share of submits that a provider refuses of its own accord."""
    attempts_max: int = 16
    """Attempts that a router has out at once."""
    measuring_s: float = 0.01
    """About how long the scorer takes for a picture."""

    def without(self, *, orders: set[int] | None = None, faults: set[int] | None = None) -> Script:
        """Leave orders (by number) or faults (by place in the list) out."""
        kept = tuple(order for order in self.orders if order.number not in (orders or set()))
        struck = tuple(fault for place, fault in enumerate(self.faults) if place not in (faults or set()))
        return replace(self, orders=kept, faults=struck)


CALLS: dict[str, tuple[Kind, ...]] = {
    "insert": (Kind.crash_before, Kind.crash_after, Kind.fail, Kind.lose_reply, Kind.slow),
    "insert_many": (Kind.half,),
    "mark_sent": (Kind.crash_before, Kind.crash_after, Kind.fail, Kind.lose_reply),
    "save": (Kind.crash_before, Kind.crash_after, Kind.fail, Kind.lose_reply),
    "read": (Kind.crash_before, Kind.fail, Kind.slow),
    "send": (Kind.crash_before, Kind.crash_after, Kind.fail, Kind.lose_reply, Kind.slow),
    "fetch": (Kind.crash_after, Kind.rewind, Kind.slow),
    "commit": (Kind.crash_before, Kind.crash_after, Kind.fail, Kind.lose_reply),
}
OWN_CALLS: dict[str, dict[str, tuple[Kind, ...]]] = {
    "router": {
        "submit": (Kind.crash_before, Kind.crash_after, Kind.fail, Kind.lose_reply, Kind.slow),
        "poll": (Kind.crash_before, Kind.fail, Kind.lose_reply, Kind.slow),
        "collect": (Kind.crash_after, Kind.fail, Kind.slow),
        "put": (Kind.crash_after, Kind.fail, Kind.lose_reply),
        "get": (Kind.crash_before, Kind.fail),
    },
    "scorer": {"get": (Kind.crash_before, Kind.crash_after, Kind.fail, Kind.slow)},
    "delivery": {
        "put": (Kind.crash_before, Kind.crash_after, Kind.fail, Kind.lose_reply),
        "get": (Kind.crash_before, Kind.fail),
        "webhook": (Kind.crash_before, Kind.crash_after, Kind.fail, Kind.lose_reply, Kind.slow),
        "index": (Kind.crash_after, Kind.fail),
    },
}
TIMED = (Kind.kill, Kind.rebalance, Kind.stall)
_STATELESS = {"scorer": ("send", "fetch", "commit")}


def script_of(seed: int) -> Script:
    """Draw a run from a seed."""
    dice = random.Random(f"script {seed}")
    accounts = dice.choice((1, 1, 2, 3))
    orders = tuple(_order(dice, number, accounts) for number in range(dice.choice((1, 2, 3, 4, 6, 8))))
    grants = tuple(dice.choice((2, 5, 20, 200)) for _ in range(accounts))
    count = dice.choice((0, 1, 2, 3, 4, 6, 9, 14))
    faults = tuple(_fault(dice) for _ in range(count))
    promos = tuple(dice.choice((None, 1.5, 3.0, 6.0, 40.0)) for _ in range(accounts))
    return Script(
        seed,
        orders,
        grants,
        faults,
        promos=promos,
        shards=dice.choice((1, 2, 2, 4)),
        replicas=dice.choice((1, 1, 2)),
    )


def _order(dice: random.Random, number: int, accounts: int) -> Order:
    return Order(
        number=number,
        account=dice.randrange(accounts),
        k=dice.choice((1, 1, 2, 3)),
        at_s=round(dice.uniform(0, 3), 3),
        mode=dice.choice(("stable", "fast", "low_cost")),
        pass_percent=dice.choice((0, 30, 60, 100, 100)),
        deadline_s=dice.choice((20, 60)),
        cancel_after_s=round(dice.uniform(0, 4), 3) if dice.random() < 0.15 else None,
        refund_percent=dice.choice((0, 0, 0, 50, 100, 150)),
        repeats=dice.choice((0, 0, 1, 2)),
    )


def _fault(dice: random.Random) -> Fault:
    service = dice.choice(SERVICES)
    if dice.random() < 0.25:
        kind = dice.choice(TIMED)
        return Fault(service, dice.randrange(8000), kind, round(dice.choice((0.2, 1, 6)) * dice.random(), 3))
    calls = CALLS if service != "scorer" else {name: CALLS[name] for name in _STATELESS["scorer"]}
    calls = calls | OWN_CALLS.get(service, {})
    call = dice.choice(sorted(calls))
    kind = dice.choice(calls[call])
    seconds = round(dice.uniform(0.05, 8), 3) if kind is Kind.slow else 0.0
    if kind is Kind.half:
        return Fault(f"{service}.{call}", dice.randrange(4), kind)
    return Fault(f"{service}.{call}", min(dice.randrange(4, 40), dice.randrange(40)), kind, seconds)

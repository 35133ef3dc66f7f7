"""Order of attempts: strict priority tiers with ageing, deficit round robin by cost inside.

Source: Shreedhar and Varghese, Efficient Fair Queuing using Deficit Round Robin (1995); cost in
place of bytes (docs/design.md#fair-order).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

AGEING_S: Final = 30.0
"""After each such wait an attempt rises one tier, so that no tier starves."""
TIER_MAX: Final = 9
QUANTUM_USD_MICRO: Final = 50_000


class Costed(Protocol):
    """Work that takes turns."""

    @property
    def task_id(self) -> str:
        """Name the task."""
        ...

    @property
    def account_id(self) -> str:
        """Name the account that is charged."""
        ...

    @property
    def cost_usd_micro(self) -> int:
        """Return what the turn is charged."""
        ...


C = TypeVar("C", bound=Costed)


@dataclass(frozen=True, slots=True)
class Waiting:
    """An attempt that waits. ``priority`` is 0..9 and 9 goes first; ``cost_usd_micro`` its price."""

    task_id: str
    account_id: str
    priority: int
    cost_usd_micro: int
    waited_s: float

    @property
    def tier(self) -> int:
        """Return the tier it stands in after ageing."""
        return min(TIER_MAX, self.priority + int(max(0.0, self.waited_s) // AGEING_S))


@dataclass(slots=True)
class FairOrder:
    """The turns of accounts: deficits and the ring's position outlive one call."""

    quantum_usd_micro: int = QUANTUM_USD_MICRO
    deficits: dict[str, int] = field(default_factory=dict)
    last_account: str | None = None

    def take(self, waiting: Sequence[Waiting]) -> Iterator[Waiting]:
        """Yield the waiting attempts in order; see ``turns``. Inside an account the order is that of the argument."""
        tiers: dict[int, dict[str, list[Waiting]]] = {}
        for costed in waiting:
            tiers.setdefault(costed.tier, {}).setdefault(costed.account_id, []).append(costed)
        yield from self.turns(
            [{a: iter(queue) for a, queue in tiers[tier].items()} for tier in sorted(tiers, reverse=True)]
        )

    def turns(self, tiers: Iterable[Mapping[str, Iterator[C]]]) -> Iterator[C]:
        """Yield from the accounts' queues in fair order, tier after tier; a caller stops when its slots are used up.

        What was yielded counts as taken and is charged to its account. A queue is read only as far as its turns go.
        """
        tiers = list(tiers)
        active = {account for accounts in tiers for account in accounts}
        # An account with nothing waiting keeps no credit, or it could save up a burst.
        self.deficits = {a: d for a, d in self.deficits.items() if a in active}
        for accounts in tiers:
            yield from self._robin(accounts)

    def give_back(self, turn: Costed) -> None:
        """Return the charge of a turn that could not be used."""
        self.deficits[turn.account_id] = self.deficits.get(turn.account_id, 0) + max(1, turn.cost_usd_micro)

    def copy(self) -> FairOrder:
        """Return an order that stands where this one stands."""
        return FairOrder(self.quantum_usd_micro, dict(self.deficits), self.last_account)

    def _robin(self, queues: Mapping[str, Iterator[C]]) -> Iterator[C]:
        ring = deque(sorted(queues))
        self._turn_to_last(ring)
        heads: dict[str, C] = {}
        while ring:
            account = ring[0]
            head = heads.pop(account, None) or next(queues[account], None)
            if head is None:
                ring.popleft()
                self.deficits.pop(account, None)
                continue
            cost = max(1, head.cost_usd_micro)
            if self.deficits.get(account, 0) < cost:
                heads[account] = head
                self.deficits[account] = self.deficits.get(account, 0) + self.quantum_usd_micro
                ring.rotate(-1)
                continue
            self.deficits[account] -= cost
            self.last_account = account
            yield head

    def _turn_to_last(self, ring: deque[str]) -> None:
        """Continue with the account that had the turn, or the next after it."""
        for _ in range(len(ring)):
            if self.last_account is None or ring[0] >= self.last_account:
                return
            ring.rotate(-1)


def position_of(task_id: str, turns: Iterable[Costed]) -> int:
    """Return the place (from 1) of a task's next attempt in an order of turns; 0 when none waits."""
    return next((place for place, turn in enumerate(turns, start=1) if turn.task_id == task_id), 0)

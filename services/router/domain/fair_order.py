"""Whose attempt is next: strict priority tiers with ageing, deficit round robin by cost inside.

Source: Shreedhar and Varghese, Efficient Fair Queuing using Deficit Round Robin (1995); cost in
place of bytes (facts/performance.md §4.5).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

AGEING_S: Final = 30.0
"""After each such wait an attempt rises one tier, so that no tier starves."""
TIER_MAX: Final = 9
QUANTUM_USD_MICRO: Final = 50_000


@dataclass(frozen=True, slots=True)
class Waiting:
    """An attempt that waits. ``priority`` is 0..9 and 9 goes first; ``cost_usd_micro`` its price."""

    task_id: str
    account_id: str
    priority: int
    cost_usd_micro: int
    waited_s: float
    tag: int = 0

    @property
    def tier(self) -> int:
        """Give the tier it stands in after ageing."""
        return min(TIER_MAX, self.priority + int(max(0.0, self.waited_s) // AGEING_S))


@dataclass(slots=True)
class FairOrder:
    """The turns of accounts: deficits and the ring's position outlive one call."""

    quantum_usd_micro: int = QUANTUM_USD_MICRO
    deficits: dict[str, int] = field(default_factory=dict)
    last_account: str | None = None

    def take(self, waiting: Sequence[Waiting]) -> Iterator[Waiting]:
        """Yield the waiting attempts in order; a caller stops when its slots are used up.

        What was yielded counts as taken and is charged to its account. Inside an account the order
        is that of the argument.
        """
        tiers: dict[int, dict[str, deque[Waiting]]] = {}
        for one in waiting:
            tiers.setdefault(one.tier, {}).setdefault(one.account_id, deque()).append(one)
        active = {one.account_id for one in waiting}
        # An account with nothing waiting keeps no credit, or it could save up a burst.
        self.deficits = {a: d for a, d in self.deficits.items() if a in active}
        for tier in sorted(tiers, reverse=True):
            yield from self._robin(tiers[tier])

    def give_back(self, one: Waiting) -> None:
        """Return the charge of a turn that could not be used."""
        cost = max(1, one.cost_usd_micro)
        self.deficits[one.account_id] = self.deficits.get(one.account_id, 0) + cost

    def _robin(self, queues: dict[str, deque[Waiting]]) -> Iterator[Waiting]:
        ring = deque(sorted(queues))
        self._turn_to_last(ring)
        while ring:
            account = ring[0]
            queue = queues[account]
            cost = max(1, queue[0].cost_usd_micro)
            if self.deficits.get(account, 0) < cost:
                self.deficits[account] = self.deficits.get(account, 0) + self.quantum_usd_micro
                ring.rotate(-1)
                continue
            self.deficits[account] -= cost
            self.last_account = account
            one = queue.popleft()
            if not queue:
                ring.popleft()
                self.deficits.pop(account, None)
            yield one

    def _turn_to_last(self, ring: deque[str]) -> None:
        """Go on with the account that had the turn, or the one after it."""
        for _ in range(len(ring)):
            if self.last_account is None or ring[0] >= self.last_account:
                return
            ring.rotate(-1)


def position_of(task_id: str, waiting: Sequence[Waiting], order: FairOrder) -> int:
    """Give the place (from 1) of a task's next attempt, without taking a turn; 0 when none waits."""
    trial = FairOrder(order.quantum_usd_micro, dict(order.deficits), order.last_account)
    for place, one in enumerate(trial.take(waiting), start=1):
        if one.task_id == task_id:
            return place
    return 0

"""Row: a fault, and when its parts come."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from tests.chaos.world import ChaosWorld

Step = Callable[[ChaosWorld], Awaitable[None]]


async def nothing(_: ChaosWorld) -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A fault. ``arm`` comes before the load, ``inject`` when a third of it is accepted, ``recover`` after that.

    ``all_delivered`` is expected of faults that a retry or another provider mends; other scenarios may end a task in any
    one way, as long as the invariants hold. ``quiet_s`` is how long a scenario may show no sign of progress before
    it counts as stuck. ``needs_kept_topics`` asks for a bus that has its topics after a restart;
    ``only_on`` names the bus that the scenario is for, when it is not for every one.
    """

    name: str
    matrix: str
    inject: Step = nothing
    recover: Step = nothing
    arm: Step = nothing
    tasks: int = 10
    quiet_s: float = 200.0
    all_delivered: bool = True
    credit_count: int = 500
    needs_kept_topics: bool = False
    only_on: str = ""

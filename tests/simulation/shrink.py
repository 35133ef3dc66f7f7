"""From a script that fails to the smallest one that breaks the same promise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.simulation.run import Outcome, play
from tests.simulation.script import Script

Told = Callable[[str], None]


def shrink(outcome: Outcome, told: Told = lambda _: None, tries_max: int = 300) -> Outcome:
    """Drop faults, orders and wishes while the same invariant still breaks; return the last run that did."""
    smallest = outcome
    tries = 0
    while tries < tries_max:
        for smaller in _smaller(smallest.script):
            tries += 1
            again = play(smaller)
            if again.broken == outcome.broken:
                smallest = again
                told(f"{len(smaller.orders)} orders, {len(smaller.faults)} faults")
                break
            if tries >= tries_max:
                break
        else:
            break
    return smallest


def _smaller(script: Script) -> Iterator[Script]:
    """Yield scripts that do less, the boldest first."""
    count = len(script.faults)
    size = count // 2
    while size:
        for first in range(0, count, size):
            yield script.without(faults=set(range(first, min(first + size, count))))
        size //= 2
    for order in script.orders:
        if len(script.orders) > 1:
            yield script.without(orders={order.number})
    if script.replicas > 1:
        yield replace(script, replicas=1)
    if script.shards > 1:
        yield replace(script, shards=1)
    for place, order in enumerate(script.orders):
        for simpler in (
            replace(order, cancel_after_s=None),
            replace(order, refund_percent=0),
            replace(order, repeats=0),
            replace(order, k=1),
        ):
            if simpler != order:
                yield replace(script, orders=(*script.orders[:place], simpler, *script.orders[place + 1 :]))


def describe(outcome: Outcome) -> str:
    """Write a failing run for people, so that it can be played again."""
    script = outcome.script
    lines = [
        outcome.text,
        f"seed {script.seed}, {script.shards} shards, {script.replicas} replicas of each service",
    ]
    lines += [f"  {order}" for order in script.orders]
    lines += [f"  {fault}" for fault in script.faults]
    return "\n".join(lines)

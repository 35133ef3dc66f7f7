"""Derives routing choices again: the chosen offering from what was weighed, the routes of a task from its attempts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from winnow.audit.finding import Finding
from winnow.contracts.events import AttemptFinished, AttemptSubmitted, TaskEvent, TaskSelected
from winnow.contracts.values import Alternative

_CHECK: Final = "route"
_PPM: Final = 1_000_000
_RATE_FLOOR_PPM: Final = 10_000
"""Rates below 1 % are priced as 1 %, so that a price stays finite."""
_PRICED_OUT: Final = frozenset({"dearer", "waiting_is_cheaper"})
"""Reasons that the price alone gives: such an offering was free to start and may not be cheaper than the chosen one."""


@dataclass(slots=True)
class _Part:
    """An offering's part in a task; costs in USD micro."""

    attempts_count: int = 0
    expected_usd_micro: int = 0
    spent_usd_micro: int = 0


@dataclass(slots=True)
class RouteFold:
    """The attempts of a task, and what each cost or may have cost."""

    parts: dict[str, _Part] = field(default_factory=dict)
    attempts_count: int = 0
    faults: list[Finding] = field(default_factory=list)

    def take(self, event: TaskEvent) -> None:
        """Fold one event of the task, in the order of the router's record."""
        match event:
            case AttemptSubmitted():
                self.attempts_count += 1
                part = self.parts.setdefault(event.offering, _Part())
                part.attempts_count += 1
                part.expected_usd_micro += event.expected_cost_usd_micro
                part.spent_usd_micro += event.expected_cost_usd_micro
                self.faults.extend(choice_findings(event))
            case AttemptFinished():
                # Until its outcome is known, an attempt counts as spent at its expected cost.
                part = self.parts.setdefault(event.offering, _Part())
                part.spent_usd_micro += event.actual_cost_usd_micro - event.expected_cost_usd_micro
            case TaskSelected():
                self.faults.extend(self._selected(event))
            case _:
                pass

    def _selected(self, event: TaskSelected) -> Iterator[Finding]:
        recorded = {
            route.offering: (route.attempts_count, route.expected_cost_usd_micro, route.actual_cost_usd_micro)
            for route in event.routes
        }
        derived = {
            offering: (part.attempts_count, part.expected_usd_micro, part.spent_usd_micro)
            for offering, part in self.parts.items()
        }
        for offering in sorted(recorded.keys() | derived.keys()):
            if recorded.get(offering) != derived.get(offering):
                text = (
                    f"the route over {offering} says attempts, expected and actual cost"
                    f" {recorded.get(offering)}, the attempts give {derived.get(offering)}"
                )
                yield Finding(_CHECK, event.task_id, text)


def choice_findings(event: AttemptSubmitted) -> Iterator[Finding]:
    """Compare the offering of an attempt with the alternatives that were weighed for it."""
    chosen = [alternative for alternative in event.alternatives if alternative.chosen]
    if [alternative.offering for alternative in chosen] != [event.offering]:
        names = ", ".join(alternative.offering for alternative in chosen) or "none"
        text = f"{event.attempt_id} went to {event.offering}, the alternatives chose {names}"
        yield Finding(_CHECK, event.task_id, text)
        return
    for alternative in event.alternatives:
        if alternative.effective_price_usd_micro < _least_price_usd_micro(alternative):
            text = (
                f"{event.attempt_id}: {alternative.offering} has the effective price {alternative.effective_price_usd_micro},"
                f" its price and rates give {_least_price_usd_micro(alternative)} or more"
            )
            yield Finding(_CHECK, event.task_id, text)
        cheaper = alternative.effective_price_usd_micro < chosen[0].effective_price_usd_micro
        if alternative.reason in _PRICED_OUT and cheaper and chosen[0].reason == "least_effective_price":
            text = (
                f"{event.attempt_id} went to {event.offering}, though {alternative.offering} was cheaper and free"
                f" ({alternative.effective_price_usd_micro} against {chosen[0].effective_price_usd_micro})"
            )
            yield Finding(_CHECK, event.task_id, text)


def _least_price_usd_micro(alternative: Alternative) -> int:
    """Return the effective price without overhead and waiting: ``price / (P(success) x P(pass))``, rounded up."""
    rates = max(_RATE_FLOOR_PPM, alternative.success_rate_ppm) * max(
        _RATE_FLOOR_PPM, alternative.pass_rate_ppm
    )
    return -(-alternative.price_usd_micro * _PPM * _PPM // rates)

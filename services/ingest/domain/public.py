"""Public part of an event: listed fields only, so that a new internal field stays inside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from winnow.contracts.events import TaskEvent

_Include = dict[str, Any]
_EACH: Final = "__all__"


def _plain(*names: str) -> _Include:
    return dict.fromkeys(names, True)


_FIELDS: Final[dict[str, _Include]] = {
    "task.accepted": _plain(
        "template", "mode", "profile", "k", "width", "height", "price_per_output_credits_micro",
        "reserve_credits_micro", "cost_cap_usd_micro", "deadline_at", "priority", "label",
    ),
    "task.funded": _plain("reserved_credits_micro"),
    "task.unfunded": _plain("code", "shortfall_credits_micro"),
    "task.rejected": _plain("code", "shortfall_credits_micro"),
    "task.cancel_requested": {},
    "round.planned": {
        **_plain("round_index", "wanted_count", "assumed_pass_rate_ppm", "reason"),
        "candidates": {_EACH: {"candidate_id", "index"}},
    },
    "attempt.submitted": _plain(
        "attempt_id", "round_index", "candidate_ids", "offering", "provider", "try_number",
        "expected_cost_usd_micro", "alternatives",
    ),
    "attempt.finished": _plain(
        "attempt_id", "round_index", "offering", "provider", "outcome", "reason",
        "expected_cost_usd_micro", "actual_cost_usd_micro", "latency_ms", "will_retry",
    ),
    "candidates.generated": {
        **_plain("attempt_id", "round_index", "offering"),
        "candidates": {_EACH: {"candidate_id": True, "stored": {"width", "height", "size_bytes"}}},
    },
    "candidates.failed": _plain("round_index", "candidates"),
    "candidates.scored": {
        **_plain("round_index", "profile", "scorer_version"),
        "candidates": {_EACH: {"candidate_id", "passed", "score", "reasons"}},
    },
    "round.closed": _plain(
        "round_index", "generated_count", "passed_count", "failed_count", "passed_total_count", "decision",
        "reason",
    ),
    "task.selected": {
        **_plain("k", "profile", "set_aside", "reason"),
        "selected": {_EACH: {"candidate_id", "rank", "score"}},
    },
    "task.delivered": {"outputs": {_EACH: {"output_id", "candidate_id", "rank", "score"}}},
    "task.partially_delivered": {
        **_plain("missing_count", "reason"),
        "outputs": {_EACH: {"output_id", "candidate_id", "rank", "score"}},
    },
    "task.failed": _plain("code", "stage", "reason"),
    "task.cancelled": _plain("stage", "released_credits_micro"),
    "task.settled": _plain(
        "reserved_credits_micro", "settled_credits_micro", "released_credits_micro", "delivered_count",
        "price_per_output_credits_micro", "cost", "reason",
    ),
}  # fmt: skip


EVENT_TYPES: Final = tuple(_FIELDS)
"""The types of a task's events, as clients see them."""

OPERATORS: Final[dict[str, frozenset[str]]] = {
    "task.accepted": frozenset({"cost_cap_usd_micro"}),
    "round.planned": frozenset({"assumed_pass_rate_ppm", "reason"}),
    "attempt.submitted": frozenset({"offering", "provider", "expected_cost_usd_micro", "alternatives"}),
    "attempt.finished": frozenset(
        {
            "offering", "provider", "reason", "expected_cost_usd_micro", "actual_cost_usd_micro", "latency_ms",
        }
    ),
    "candidates.generated": frozenset({"offering"}),
    "task.settled": frozenset({"cost"}),
}  # fmt: skip
"""The fields about providers and their cost: recorded for all, shown to operators."""


CUSTOMER_REASONS: Final = frozenset({"content_policy", "filtered", "cost_cap_reached"})
"""Reasons of a failed generation for which the order itself is the cause; every other reason is about a provider."""

GENERATION_FAILED: Final = "generation_failed"
"""The reason that customers read where the cause lies with a provider."""


def without_provider(reason: str) -> str:
    """Return why a candidate was not generated, as keys without the scope operator may read it."""
    return reason if reason in CUSTOMER_REASONS else GENERATION_FAILED


def without_costs(event_type: str, shown: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of an event without those, and without the words, that only operators see."""
    hidden = OPERATORS.get(event_type, frozenset())
    fields = {name: value for name, value in shown.items() if name not in hidden}
    if event_type == "candidates.failed":
        fields["candidates"] = [
            {**candidate, "reason": without_provider(candidate["reason"])}
            for candidate in shown["candidates"]
        ]
    return fields


def public_fields(event: TaskEvent) -> dict[str, Any]:
    """Return the fields of an event that clients may see, JSON-ready; none of a type that is not listed."""
    include = _FIELDS.get(event.type, {})
    return event.model_dump(mode="json", include=include) if include else {}

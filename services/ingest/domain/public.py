"""What clients see of an event: listed fields only, so that a new internal field stays inside."""

from __future__ import annotations

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


def public_fields(event: TaskEvent) -> dict[str, Any]:
    """Give the fields of an event that clients may see, JSON-ready; none of a type that is not listed."""
    include = _FIELDS.get(event.type, {})
    return event.model_dump(mode="json", include=include) if include else {}

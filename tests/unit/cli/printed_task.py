"""A task with its bill, route and link, and the console that prints them."""

from __future__ import annotations

import io

from rich.console import Console

from winnow.cli.answers import Bill, OutputLink, Task
from winnow.cli.sheet import Picture

TASK = Task.model_validate(
    {
        "id": "task_1",
        "state": "generating",
        "complete": False,
        "template": {"name": "studio_headshot", "version": 1},
        "mode": "low_cost",
        "profile": {"name": "headshot", "version": 1},
        "k": 6,
        "funnel": {"generating": 4, "passed": 2, "rejected": 1},
        "failure_reasons": {"sharpness:below_threshold": 1},
        "rounds": [{"round_index": 0, "planned_count": 7, "wanted_count": 6}],
        "routes": [],
        "spend": {"expected_usd_micro": 9, "actual_usd_micro": 21_000, "cap_usd_micro": 60_000},
        "outputs_count": 0,
        "deadline_at": "2026-01-01T00:00:00Z",
        "a_field_of_tomorrow": 1,
    }
)
ROUTE = {
    "offering": "fal-x",
    "provider": "fal",
    "attempts_count": 3,
    "failed_attempts_count": 1,
    "candidates_count": 8,
    "passed_count": 5,
    "expected_cost_usd_micro": 24_000,
    "actual_cost_usd_micro": 24_001,
    "cost_per_accepted_usd_micro": 4_801,
}
BILL = Bill.model_validate(
    {
        "is_final": True,
        "promised_count": 6,
        "delivered_count": 5,
        "price_per_output_credits_micro": 60_000,
        "price_rule": "prices.v1",
        "reserved_credits_micro": 360_000,
        "charged_credits_micro": 300_000,
        "released_credits_micro": 60_000,
        "refunded_credits_micro": 0,
        "expected_cost_usd_micro": 24_000,
        "actual_cost_usd_micro": 24_001,
        "cost_per_delivered_usd_micro": 4_801,
        "routes": [ROUTE],
        "explanation": ["Because."],
    }
)
LINK = OutputLink(output_id="out_1", rank=1, score=97.0, sha256="0" * 64, expires_in_s=300)


def printed(what: object) -> str:
    console = Console(record=True, width=120, file=io.StringIO())
    console.print(what)
    return console.export_text()


def picture(state: str, name: str, **changes: object) -> Picture:
    fields: dict[str, object] = {
        "candidate_id": name,
        "state": state,
        "round_index": 0,
        "offering": "fal-x",
        "score": 50.0,
        "rank": None,
        "reasons": [],
        "measures": [],
        "thumbnail": b"jpeg",
    }
    return Picture(**(fields | changes))  # type: ignore[arg-type]

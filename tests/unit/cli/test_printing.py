"""Printed results: the funnel, the report, and what a customer sees of them."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from tests.unit.cli.printed_task import BILL, LINK, TASK, printed
from winnow.cli import report
from winnow.cli.answers import Bill, Offering, Task
from winnow.cli.live import screen
from winnow.cli.report import bill_table, funnel_table, print_links, route_table


def test_the_funnel_of_a_complete_task_has_no_candidate_on_its_way() -> None:
    ended = TASK.model_copy(update={"state": "cancelled", "complete": True})
    shown = printed(funnel_table(ended))
    assert "generating" not in shown
    assert re.search(r"planned in all\s+│\s+7", shown)
    assert re.search(r"never made\s+│\s+4", shown)
    assert "never made" not in printed(funnel_table(TASK))


def test_the_screen_shows_funnel_round_spend_and_health() -> None:
    offering = Offering(
        offering="fal-x",
        provider="fal",
        price_usd_micro=3000,
        breaker="half_open",
        success_rate_ppm=970_000,
        pass_rate_ppm=610_000,
        latency_ms=2500,
        in_flight_count=2,
        concurrency_limit=4,
        drained=False,
    )
    text = printed(screen(TASK, [offering], 3.25))
    for expected in (
        "round 1",
        "2 passed of 6",
        "0.021 USD of at most 0.06 USD",
        "half open",
        "97 %",
        "61 %",
        "2/4",
    ):
        assert expected in text
    assert re.search(r"generating\s+4", text)


def test_the_report_names_reasons_costs_and_the_split_of_the_reservation() -> None:
    assert re.search(r"sharpness: below threshold\s+│\s+1", printed(funnel_table(TASK)))
    routes = printed(route_table(BILL.routes or []))
    for expected in ("3 (1 failed)", "5 of 8", "0.024001", "0.004801"):
        assert expected in routes
    lines = re.sub(r"\s+", " ", printed(bill_table(BILL)))
    for expected in (
        "delivered 5",
        "promised 6 at 0.06 credits each",
        "charged 0.30 credits",
        "released 0.06 credits",
        "provider cost 0.024001 USD (expected 0.024 USD)",
    ):
        assert expected in lines


def test_a_customer_sees_no_costs_and_no_empty_tables_for_them() -> None:
    hidden = dict.fromkeys(
        ("routes", "expected_cost_usd_micro", "actual_cost_usd_micro", "cost_per_delivered_usd_micro")
    )
    bill = Bill.model_validate(BILL.model_dump() | hidden)
    task = Task.model_validate(TASK.model_dump() | {"routes": None, "spend": None})
    text = printed(bill_table(bill)) + printed(screen(task, [], 3.25))
    assert "USD" not in text
    assert "spend" not in text
    assert "charged" in text


def test_a_long_link_is_a_line_of_its_own_that_is_never_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow = Console(record=True, width=40, file=io.StringIO())
    monkeypatch.setattr(report, "out", narrow)
    url = "http://127.0.0.1/outputs/" + "a" * 300
    print_links([LINK.model_copy(update={"url": url})])
    assert url in narrow.export_text().splitlines()


def test_how_long_a_task_took_counts_from_its_order_to_its_end() -> None:
    ended = {"created_at": "2026-01-01T00:00:00Z", "end": {"at": "2026-01-01T00:00:04.5Z"}}
    assert TASK.took_s is None
    assert Task.model_validate(TASK.model_dump() | ended).took_s == 4.5

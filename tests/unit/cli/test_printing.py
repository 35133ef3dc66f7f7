"""What is printed and written: the sheet holds its pictures, amounts are exact, failures are sentences."""

from __future__ import annotations

import errno
import io
import re

import pytest
from PIL import Image
from rich.console import Console

from winnow.cli import report
from winnow.cli.answers import Bill, Offering, OutputLink, Task
from winnow.cli.live import screen
from winnow.cli.report import bill_table, funnel_table, print_links, route_table
from winnow.cli.sheet import Measure, Picture, contact_sheet, thumbnail_of
from winnow.cli.tasks import usd_micro
from winnow.cli.trouble import Trouble, sentence_of
from winnow.contracts.errors import Unavailable

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
    routes = printed(route_table(BILL))
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


def test_the_sheet_has_selected_first_then_spare_then_rejected_with_reasons() -> None:
    measure = Measure("sharpness", "ok", 12.0, 40.0, required=True, passed=False)
    html = contact_sheet(
        "6 × <b>",
        ["line"],
        [
            picture("rejected", "r", reasons=["sharpness:below_threshold"], measures=[measure]),
            picture("set_aside", "s"),
            picture("delivered", "d2", rank=2),
            picture("delivered", "d1", rank=1, score=97.04),
            picture("generation_failed", "g", thumbnail=None, score=None),
        ],
    )
    places = [html.index(f'alt="{one}"') for one in ("d1", "d2", "s", "r")]
    assert places == sorted(places)
    assert html.count("data:image/jpeg;base64,") == 4
    assert "no picture" in html
    assert "sharpness 12, needs 40" in html
    assert "#1 score 97.0" in html
    assert "needs 40" in html
    assert "<b>" not in html.split("</h1>")[0]
    assert "http" not in html


def test_a_thumbnail_is_a_small_jpeg() -> None:
    big = io.BytesIO()
    Image.new("RGBA", (1200, 600), (200, 10, 10, 255)).save(big, "PNG")
    with Image.open(io.BytesIO(thumbnail_of(big.getvalue()))) as made:
        assert (made.format, made.size) == ("JPEG", (256, 128))
    with pytest.raises(OSError):
        thumbnail_of(b"no picture at all")


@pytest.mark.parametrize(("text", "micro"), [("0.25", 250_000), ("1", 1_000_000), ("0.000001", 1)])
def test_dollars_are_read_exactly(text: str, micro: int) -> None:
    assert usd_micro(text) == micro


@pytest.mark.parametrize("text", ["abc", "0", "-1", "0.0000001", "nan", "inf"])
def test_what_is_no_amount_is_said(text: str) -> None:
    with pytest.raises(Trouble, match=re.escape(text)):
        usd_micro(text)


def test_errors_become_sentences() -> None:
    assert sentence_of(Unavailable("Kafka does not answer")) == "Kafka does not answer."
    full = OSError(errno.ENOSPC, "No space left on device", "/data/x")
    assert sentence_of(full) == "There is no disk space left at /data/x."
    assert sentence_of(PermissionError(errno.EACCES, "Permission denied", "/x")) == "Permission denied: /x."

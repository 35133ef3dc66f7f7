"""Printed and written results: the sheet holds its pictures, amounts are exact, failures are sentences."""

from __future__ import annotations

import errno
import io
import re

import pytest
import typer
from PIL import Image
from rich.console import Console

from winnow.cli import report
from winnow.cli.amounts import micro_of
from winnow.cli.answers import Bill, Offering, OutputLink, Task
from winnow.cli.console import out, print_list
from winnow.cli.errors import CliError, fail, sentence_of
from winnow.cli.live import screen
from winnow.cli.report import bill_table, funnel_table, print_links, route_table
from winnow.cli.sheet import FullSize, Heading, Measure, Picture, contact_sheet, thumbnail_of
from winnow.cli.terminal import harmless
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


def heading(**changes: object) -> Heading:
    fields: dict[str, object] = {
        "title": "6 × <b>",
        "outcome": "delivered: 2 of 2 outputs",
        "prompt": 'a "mug" & <saucer>',
        "facts": [
            ("label", "spring <i>"),
            ("ordered", "2026-01-01 00:00:00 UTC"),
            ("charged", "0.12 credits"),
        ],
    }
    return Heading(**(fields | changes))  # type: ignore[arg-type]


def test_the_sheet_has_delivered_first_then_spare_then_rejected_with_reasons() -> None:
    measure = Measure("sharpness", "ok", 12.0, 40.0, required=True, passed=False)
    html = contact_sheet(
        heading(),
        [
            picture("rejected", "r", reasons=["sharpness:below_threshold"], measures=[measure]),
            picture("set_aside", "s"),
            picture("delivered", "d2", rank=2),
            picture("delivered", "d1", rank=1, score=97.04),
            picture("generation_failed", "g", thumbnail=None, score=None),
        ],
    )
    alts = (
        "Delivered picture 1 ",
        "Delivered picture 2 ",
        "Candidate s,",
        "Candidate r, rejected: sharpness 12",
    )
    places = [html.index(f'alt="{alt_text}') for alt_text in alts]
    assert places == sorted(places)
    assert html.count("data:image/jpeg;base64,") == 4
    assert "no picture" in html
    assert "sharpness 12, needs 40" in html
    assert "score 97.0" in html
    assert "<b>" not in html.split("</h1>")[0]


def test_the_sheet_shows_prompt_label_time_price_and_a_link_to_full_size_of_each_delivered_picture() -> None:
    sizes = [FullSize(f"task_1/{number:03d}.png", 1024, 768, 1_234_567) for number in (1, 2)]
    html = contact_sheet(
        heading(),
        [
            picture("delivered", "d1", rank=1, price="0.06 credits", full_size=sizes[0]),
            picture("delivered", "d2", rank=2, price="0.06 credits", full_size=sizes[1]),
            picture("rejected", "r"),
        ],
    )
    assert "a &quot;mug&quot; &amp; &lt;saucer&gt;</blockquote>" in html
    for expected in ("spring &lt;i&gt;", "2026-01-01 00:00:00 UTC", "0.12 credits", "1024 × 768, 1.23 MB"):
        assert expected in html
    assert re.findall(r'<a href="([^"]+)">Full size', html) == ["task_1/001.png", "task_1/002.png"]
    assert re.findall(r'<a href="([^"]+)"><img', html) == ["task_1/001.png", "task_1/002.png"]
    assert html.count("<span class=price>0.06 credits</span>") == 2


def test_the_sheet_loads_nothing_runs_nothing_and_follows_the_colours_of_the_reader() -> None:
    html = contact_sheet(heading(), [picture("delivered", "d1", rank=1)])
    assert "http:" not in html
    assert "https:" not in html
    assert "<script" not in html
    assert "default-src 'none'" in html
    assert "prefers-color-scheme:dark" in html
    assert all(alt for alt in re.findall(r'<img alt="([^"]*)"', html))


def test_a_thumbnail_is_a_small_jpeg() -> None:
    big = io.BytesIO()
    Image.new("RGBA", (1200, 600), (200, 10, 10, 255)).save(big, "PNG")
    with Image.open(io.BytesIO(thumbnail_of(big.getvalue()))) as made:
        assert (made.format, made.size) == ("JPEG", (384, 192))
    with pytest.raises(OSError):
        thumbnail_of(b"no picture at all")


@pytest.mark.parametrize(("text", "micro"), [("0.25", 250_000), ("1", 1_000_000), ("0.000001", 1)])
def test_dollars_are_read_exactly(text: str, micro: int) -> None:
    assert micro_of(text, "USD") == micro


@pytest.mark.parametrize("text", ["abc", "0", "-1", "0.0000001", "nan", "inf"])
def test_what_is_no_amount_is_said(text: str) -> None:
    with pytest.raises(CliError, match=re.escape(text)):
        micro_of(text, "USD")


def test_errors_become_sentences() -> None:
    assert sentence_of(Unavailable("Kafka does not answer")) == "Kafka does not answer."
    full = OSError(errno.ENOSPC, "No space left on device", "/data/x")
    assert sentence_of(full) == "There is no disk space left at /data/x."
    assert sentence_of(PermissionError(errno.EACCES, "Permission denied", "/x")) == "Permission denied: /x."


HOSTILE = "a\x1b]0;title\x07b\x9b2Jc\u202ed\re"
SHOWN = r"a\x1b]0;title\x07b\x9b2Jc\u202ed\x0de"


def test_controls_of_others_are_written_out_and_tabs_and_lines_stay() -> None:
    assert harmless(HOSTILE) == SHOWN
    assert harmless("tab\tline\nÄ 日本 \u200f\U0001f600") == "tab\tline\nÄ 日本 \u200f\U0001f600"


def test_a_list_and_whatever_else_is_drawn_hold_no_controls_of_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_list(["id", "label"], [["1", HOSTILE]])
    out.print(HOSTILE, markup=False)
    out.print(funnel_table(TASK.model_copy(update={"failure_reasons": {HOSTILE: 1}})))
    printed = capsys.readouterr().out
    assert SHOWN in printed.splitlines()[1]
    assert printed.count(r"a\x1b]0;title") == 3
    assert re.findall(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", printed) == []


def test_the_consoles_own_controls_and_colours_stay() -> None:
    drawn = io.StringIO()
    console = type(out)(file=drawn, force_terminal=True, color_system="standard")
    console.print("[red]warm[/]")
    console.show_cursor(show=False)
    assert drawn.getvalue() == "\x1b[31mwarm\x1b[0m\n\x1b[?25l"


def test_a_failure_and_its_hint_hold_no_controls_of_others(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        fail(HOSTILE, hint=HOSTILE)
    assert capsys.readouterr().err.count(SHOWN) == 2

"""Contact sheets: delivered first, with reasons and links, and nothing loaded or run."""

from __future__ import annotations

import io
import re

import pytest
from PIL import Image

from tests.unit.cli.printed_task import picture
from winnow.cli.sheet import FullSize, Heading, Measure, contact_sheet, thumbnail_of


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

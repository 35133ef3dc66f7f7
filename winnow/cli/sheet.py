"""The contact sheet: one HTML file with every picture of a task in it, what was delivered on top."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from PIL import Image

from winnow.cli.live import reason_words

THUMBNAIL_PX: Final = 256
_JPEG_QUALITY: Final = 82
_STYLE: Final = """
:root{color-scheme:light}
body{font:14px/1.45 system-ui,sans-serif;margin:clamp(12px,3vw,32px);color:#1c1c1c;background:#fafafa;overflow-wrap:anywhere}
h1{font-size:1.4rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .6rem}p{margin:.3rem 0;color:#555}
.grid{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(200px,100%),1fr));gap:14px}
figure{margin:0;background:#fff;border:1px solid #ddd;border-radius:8px;overflow:hidden}
img,.none{display:block;width:100%;aspect-ratio:1;object-fit:cover;background:#eee}
.none{display:flex;align-items:center;justify-content:center;color:#888}
figcaption{padding:.5rem .7rem;font-size:12px}figcaption b{font-size:14px}
.chosen{border:2px solid #2a8f4f}.failed{border-color:#c9806f}.failed img{filter:saturate(.6)}
.reason{color:#a33}.spare .reason{color:#666}summary{cursor:pointer}
@media(max-width:480px){.grid{grid-template-columns:repeat(2,1fr);gap:8px}}
table{border-collapse:collapse;margin-top:.3rem}td{padding:0 .5rem 0 0}td.no{color:#a33}
"""


@dataclass(frozen=True, slots=True)
class Measure:
    """One dimension of a picture; ``score`` and ``threshold`` in 0..100, None when it was not taken."""

    name: str
    status: str
    score: float | None
    threshold: float | None
    required: bool
    passed: bool


@dataclass(frozen=True, slots=True)
class Picture:
    """A candidate on the sheet; ``thumbnail`` is a JPEG, None when there is no picture."""

    candidate_id: str
    state: str
    round_index: int
    offering: str
    score: float | None
    rank: int | None
    reasons: Sequence[str]
    measures: Sequence[Measure]
    thumbnail: bytes | None


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with the pictures below it."""

    title: str
    style: str
    pictures: Sequence[Picture]


def thumbnail_of(picture: bytes) -> bytes:
    """Make a JPEG of at most 256 px a side; raises OSError for bytes that are no picture."""
    with Image.open(io.BytesIO(picture)) as image:
        image.draft("RGB", (THUMBNAIL_PX * 2, THUMBNAIL_PX * 2))
        small = image.convert("RGB")
        small.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
        made = io.BytesIO()
        small.save(made, "JPEG", quality=_JPEG_QUALITY)
    return made.getvalue()


def sections_of(pictures: Sequence[Picture]) -> list[Section]:
    """Sort pictures: delivered by rank, passed but not needed by score, failed by score, without a picture last."""
    chosen = [one for one in pictures if one.state in {"selected", "delivered"}]
    spare = [one for one in pictures if one.state in {"passed", "set_aside"}]
    failed = [one for one in pictures if one.state == "rejected"]
    rest = [one for one in pictures if one not in chosen and one not in spare and one not in failed]
    return [
        Section("Selected", "chosen", sorted(chosen, key=lambda one: (one.rank or 0, -(one.score or 0)))),
        Section("Passed, not needed", "spare", _by_score(spare)),
        Section("Rejected", "failed", _by_score(failed)),
        Section("Without a verdict", "failed", rest),
    ]


def contact_sheet(title: str, lines: Sequence[str], pictures: Sequence[Picture]) -> str:
    """Write the sheet; ``lines`` stand below the title. Everything is escaped and nothing is loaded from outside."""
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8>",
        "<meta name=viewport content='width=device-width,initial-scale=1'>",
        f"<title>Contact sheet: {escape(title)}</title><style>{_STYLE}</style><h1>{escape(title)}</h1>",
        *(f"<p>{escape(line)}</p>" for line in lines),
    ]
    for section in sections_of(pictures):
        if section.pictures:
            parts.append(f"<h2>{escape(section.title)} ({len(section.pictures)})</h2><div class=grid>")
            parts += [_figure(one, section.style) for one in section.pictures]
            parts.append("</div>")
    return "\n".join(parts)


def _by_score(pictures: Sequence[Picture]) -> list[Picture]:
    return sorted(pictures, key=lambda one: -(one.score or 0))


def _figure(picture: Picture, style: str) -> str:
    shown = '<div class="none">no picture</div>'
    if picture.thumbnail is not None:
        data = base64.b64encode(picture.thumbnail).decode()
        shown = f'<img alt="{escape(picture.candidate_id)}" src="data:image/jpeg;base64,{data}">'
    score = "not scored" if picture.score is None else f"score {picture.score:.1f}"
    rank = f"#{picture.rank} " if picture.rank else ""
    where = f"{picture.offering or 'no offering'}, round {picture.round_index + 1}"
    told = [_told(one, picture.measures) for one in picture.reasons]
    reasons = "".join(f"<div class=reason>{escape(one)}</div>" for one in told)
    rows = "".join(_row(one) for one in picture.measures)
    return (
        f"<figure class={style}>{shown}<figcaption><b>{rank}{score}</b>{reasons}"
        f"<div>{escape(where)}</div><details><summary>{len(picture.measures)} measures</summary>"
        f"<table>{rows}</table></details></figcaption></figure>"
    )


def _told(reason: str, measures: Sequence[Measure]) -> str:
    """Say a reason with the score that was too low, where there is one."""
    for one in measures:
        if reason == f"{one.name}:below_threshold" and one.score is not None and one.threshold is not None:
            return f"{one.name} {one.score:.0f}, needs {one.threshold:.0f}"
    return reason_words(reason)


def _row(measure: Measure) -> str:
    score = measure.status.replace("_", " ") if measure.score is None else f"{measure.score:.0f}"
    needed = "" if measure.threshold is None else f"needs {measure.threshold:.0f}"
    style = "" if measure.passed or not measure.required else " class=no"
    return f"<tr><td{style}>{escape(measure.name)}</td><td>{escape(score)}</td><td>{needed}</td></tr>"

"""The contact sheet: one HTML file with every picture of a task in it, the delivered pictures on top."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Final
from urllib.parse import quote

from PIL import Image

from winnow.cli.live import reason_words
from winnow.cli.sheet_style import STYLE

THUMBNAIL_PX: Final = 384
"""Wide enough for a column of 240 CSS pixels on a dense screen."""
_JPEG_QUALITY: Final = 82
_POLICY: Final = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""The browser itself refuses to load anything from outside the file."""
_ALT_PROMPT_MAX: Final = 120
_WIDE_FROM: Final = 24
"""A longer fact takes two columns."""


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
class FullSize:
    """The file of a delivered picture; ``href`` is relative to the sheet, sizes in pixels and bytes."""

    href: str
    width: int
    height: int
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Picture:
    """A candidate on the sheet; ``thumbnail`` is a JPEG, None when there is no picture.

    ``price`` is the amount charged for it as text, empty for a picture that was not delivered.
    """

    candidate_id: str
    state: str
    round_index: int
    offering: str
    score: float | None
    rank: int | None
    reasons: Sequence[str]
    measures: Sequence[Measure]
    thumbnail: bytes | None
    price: str = ""
    full_size: FullSize | None = None


@dataclass(frozen=True, slots=True)
class Heading:
    """Heading above the pictures; ``facts`` are pairs of a name and a value, empty values left out."""

    title: str
    outcome: str
    prompt: str
    facts: Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with the pictures below it."""

    title: str
    style: str
    pictures: Sequence[Picture]


def thumbnail_of(picture: bytes) -> bytes:
    """Make a JPEG of at most 384 px a side; raises OSError for bytes that are no picture."""
    with Image.open(io.BytesIO(picture)) as image:
        image.draft("RGB", (THUMBNAIL_PX * 2, THUMBNAIL_PX * 2))
        small = image.convert("RGB")
        small.thumbnail((THUMBNAIL_PX, THUMBNAIL_PX))
        made = io.BytesIO()
        small.save(made, "JPEG", quality=_JPEG_QUALITY)
    return made.getvalue()


def sections_of(pictures: Sequence[Picture]) -> list[Section]:
    """Sort pictures: delivered by rank, passed but not needed by score, failed by score, without a picture last."""
    chosen = [picture for picture in pictures if picture.state in {"selected", "delivered"}]
    spare = [picture for picture in pictures if picture.state in {"passed", "set_aside"}]
    failed = [picture for picture in pictures if picture.state == "rejected"]
    others = [
        picture
        for picture in pictures
        if picture not in chosen and picture not in spare and picture not in failed
    ]
    return [
        Section(
            "Delivered",
            "chosen",
            sorted(chosen, key=lambda candidate: (candidate.rank or 0, -(candidate.score or 0))),
        ),
        Section("Passed, not needed", "spare", _by_score(spare)),
        Section("Rejected", "failed", _by_score(failed)),
        Section("Without a verdict", "failed", others),
    ]


def contact_sheet(heading: Heading, pictures: Sequence[Picture]) -> str:
    """Write the sheet. Everything is escaped, nothing is loaded from outside and no script runs."""
    facts = "".join(_fact(name, value) for name, value in heading.facts if value)
    prompt = f"<blockquote>{escape(heading.prompt)}</blockquote>" if heading.prompt else ""
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        '<meta name="color-scheme" content="light dark">',
        f'<meta http-equiv="content-security-policy" content="{_POLICY}">',
        f"<title>Contact sheet: {escape(heading.title)}</title><style>{STYLE}</style></head><body>",
        f"<header><h1>{escape(heading.title)}</h1><p class=outcome>{escape(heading.outcome)}</p>",
        f"{prompt}<dl>{facts}</dl></header><main>",
    ]
    for number, section in enumerate(sections_of(pictures)):
        if section.pictures:
            parts.append(
                f'<section aria-labelledby="s{number}"><h2 id="s{number}">{escape(section.title)}'
                f" <span>{len(section.pictures)}</span></h2><div class=grid>"
            )
            parts += [_figure(picture, section.style, heading.prompt) for picture in section.pictures]
            parts.append("</div></section>")
    return "\n".join([*parts, "</main></body></html>\n"])


def _fact(name: str, value: str) -> str:
    wide = " class=wide" if len(value) > _WIDE_FROM else ""
    return f"<div{wide}><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>"


def _by_score(pictures: Sequence[Picture]) -> list[Picture]:
    return sorted(pictures, key=lambda picture: -(picture.score or 0))


def _figure(picture: Picture, style: str, prompt: str) -> str:
    score = "not scored" if picture.score is None else f"score {picture.score:.1f}"
    rank = f"<span class=rank>#{picture.rank}</span> " if picture.rank else ""
    price = f"<span class=price>{escape(picture.price)}</span>" if picture.price else ""
    where = f"{picture.offering or 'no offering'}, round {picture.round_index + 1}"
    reasons = "".join(
        f"<p class=reason>{escape(_reason(reason, picture.measures))}</p>" for reason in picture.reasons
    )
    return (
        f"<figure class={style}>{_image(picture, prompt)}<figcaption>"
        f"<p class=line><b>{rank}{score}</b>{price}</p>{reasons}{_link(picture.full_size)}"
        f"<p class=where>{escape(where)}</p>{_measures(picture.measures)}</figcaption></figure>"
    )


def _image(picture: Picture, prompt: str) -> str:
    if picture.thumbnail is None:
        return '<div class="none">no picture</div>'
    data = base64.b64encode(picture.thumbnail).decode()
    shown = f'<img alt="{escape(_alt(picture, prompt))}" src="data:image/jpeg;base64,{data}">'
    if picture.full_size is None:
        return shown
    return f'<a href="{escape(quote(picture.full_size.href))}">{shown}</a>'


def _alt(picture: Picture, prompt: str) -> str:
    """Return which picture it is and what became of it, for those who cannot see it."""
    if picture.rank:
        prompt_note = f" for: {prompt[:_ALT_PROMPT_MAX]}" if prompt else ""
        return f"Delivered picture {picture.rank}{prompt_note}"
    reasons = "; ".join(_reason(reason, picture.measures) for reason in picture.reasons)
    return f"Candidate {picture.candidate_id}, {picture.state.replace('_', ' ')}" + (
        f": {reasons}" if reasons else ""
    )


def _link(full_size: FullSize | None) -> str:
    if full_size is None:
        return ""
    size = f"{full_size.width} × {full_size.height}, {full_size.size_bytes / 1_000_000:.2f} MB"
    return f'<p class=full><a href="{escape(quote(full_size.href))}">Full size</a> <span>{size}</span></p>'


def _measures(measures: Sequence[Measure]) -> str:
    if not measures:
        return ""
    rows = "".join(map(_row, measures))
    return (
        f"<details><summary>{len(measures)} measures</summary><table><thead><tr><th scope=col>measure</th>"
        f"<th scope=col>score</th><th scope=col>needs</th></tr></thead><tbody>{rows}</tbody></table></details>"
    )


def _reason(reason: str, measures: Sequence[Measure]) -> str:
    """Return a reason with the score that was too low, where there is one."""
    for measure in measures:
        if (
            reason == f"{measure.name}:below_threshold"
            and measure.score is not None
            and measure.threshold is not None
        ):
            return f"{measure.name} {measure.score:.0f}, needs {measure.threshold:.0f}"
    return reason_words(reason)


def _row(measure: Measure) -> str:
    score = measure.status.replace("_", " ") if measure.score is None else f"{measure.score:.0f}"
    needed = "" if measure.threshold is None else f"{measure.threshold:.0f}"
    style = "" if measure.passed or not measure.required else " class=no"
    mark = "" if not style else " ✗"
    return f"<tr{style}><th scope=row>{escape(measure.name)}{mark}</th><td>{escape(score)}</td><td>{needed}</td></tr>"

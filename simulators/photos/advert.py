"""Lays an advertisement's words over a product picture: a band in the brand's colour, the copy in it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import cv2
import numpy as np

from simulators.photos.assets import Picture

_QUOTED: Final = re.compile(r'["“”]([^"“”]{1,80})["“”]')
_HEX: Final = re.compile(r"#[0-9a-fA-F]{6}\b")
_LINES_MAX: Final = 4
_FONT: Final = cv2.FONT_HERSHEY_DUPLEX
_OFF_GRID: Final = 8
_TALL_RATIO: Final = 0.65
_LETTERS: Final = "ABCDEFGHKLMNPRSTUVXYZ"


class Fault(StrEnum):
    """Faults of the lettering alone; named like the simulators' defects."""

    garbled_copy = "garbled_copy"
    copy_at_edge = "copy_at_edge"
    faint_copy = "faint_copy"
    wrong_colour = "wrong_colour"


@dataclass(frozen=True, slots=True)
class AdWording:
    """Words of an advertisement, line by line, and their colours (``#rrggbb``)."""

    lines: tuple[str, ...] = ("NEW TODAY",)
    colours: tuple[str, ...] = ()


def wording_of(prompt: str) -> AdWording:
    """Read the copy and the colours out of a prompt: what stands in double quotes, and hexadecimal colours."""
    lines = tuple(" ".join(match.split()) for match in _QUOTED.findall(prompt))[:_LINES_MAX]
    return AdWording(lines or AdWording().lines, tuple(_HEX.findall(prompt)))


def lettered(picture: Picture, wording: AdWording, fault: Fault | None, rng: np.random.Generator) -> Picture:
    """Return ``(H, W, 3) uint8 BGR`` with the copy laid over its emptier part, inside the safe area unless at fault."""
    height, width = picture.shape[:2]
    tall = width / height <= _TALL_RATIO
    colours = wording.colours or (
        f"#{rng.integers(20, 110):02x}{rng.integers(20, 110):02x}{rng.integers(60, 160):02x}",
    )
    band = _bgr(colours[0])
    if fault is Fault.wrong_colour:
        band = _shifted(band)
    lines = (
        tuple(_garbled(line, rng) for line in wording.lines) if fault is Fault.garbled_copy else wording.lines
    )
    wide = width if fault is Fault.copy_at_edge else round(width * rng.uniform(0.55, 0.84))
    margin = 0 if fault is Fault.copy_at_edge else round(width * 0.08)
    left = margin + round((width - wide - 2 * margin) * float(rng.random()))
    scale = min(_fitting(line, wide * 0.9) for line in lines)
    scale = min(scale, height * 0.085 / cv2.getTextSize("A", _FONT, 1, 2)[0][1] * 0.6)
    step = round(cv2.getTextSize("A", _FONT, scale, 1)[0][1] * 1.9)
    deep = step * len(lines) + step // 2
    top = _top(picture, deep, tall=tall, at_edge=fault is Fault.copy_at_edge)
    laid = picture.copy()
    # Straight edges off the grid of JPEG blocks, or the band itself would look like blocks.
    corners = [
        _OFF_GRID * round(edge / _OFF_GRID) + _OFF_GRID // 2 for edge in (left, top, left + wide, top + deep)
    ]
    cv2.rectangle(laid, tuple(corners[:2]), tuple(corners[2:]), band, -1)
    ink = _ink(band, faint=fault is Fault.faint_copy)
    for number, line in enumerate(lines, 1):
        across = cv2.getTextSize(line, _FONT, scale, 1)[0][0]
        start = 2 if fault is Fault.copy_at_edge else left + (wide - across) // 2
        thickness = max(1, round(scale * 2.2))
        cv2.putText(laid, line, (start, top + step * number), _FONT, scale, ink, thickness, cv2.LINE_AA)
    below = top < height / 2
    mark = round(min(height, width) * 0.05)
    _marks(laid, colours[1:], fault, (top + deep + 2 * mark if below else top - 2 * mark), mark)
    return laid


def _top(picture: Picture, deep: int, *, tall: bool, at_edge: bool) -> int:
    """Return where the band begins: above or below, where the picture is the emptier."""
    height = int(picture.shape[0])
    above, below = (0.16, 0.78) if tall else (0.07, 0.93)
    upper, lower = (float(part.std()) for part in (picture[: height // 3], picture[-(height // 3) :]))
    if upper <= lower:
        return 0 if at_edge else int(height * above)
    return height - deep if at_edge else int(height * below) - deep


def _marks(picture: Picture, colours: tuple[str, ...], fault: Fault | None, y: int, radius: int) -> None:
    """Draw every further colour as a round mark beside the band."""
    width = picture.shape[1]
    for number, colour in enumerate(colours, 1):
        bgr = _shifted(_bgr(colour)) if fault is Fault.wrong_colour else _bgr(colour)
        centre = (width - round(width * 0.13 * number), y)
        cv2.circle(picture, centre, radius, bgr, -1, cv2.LINE_AA)


def _fitting(line: str, wide: float) -> float:
    return wide / max(1, cv2.getTextSize(line, _FONT, 1, 2)[0][0])


def _garbled(line: str, rng: np.random.Generator) -> str:
    """Replace, as generators do, about two letters of five by others."""
    return "".join(
        _LETTERS[int(rng.integers(len(_LETTERS)))] if letter.isalnum() and rng.random() < 0.4 else letter
        for letter in line
    )


def _bgr(colour: str) -> tuple[int, int, int]:
    return int(colour[5:7], 16), int(colour[3:5], 16), int(colour[1:3], 16)


def _shifted(bgr: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return a colour that nobody takes for this one: hue turned by a third, or another grey."""
    hue, saturation, value = (
        int(channel) for channel in cv2.cvtColor(np.array([[bgr]], np.uint8), cv2.COLOR_BGR2HSV)[0, 0]
    )
    turned = np.array(
        [[[(hue + 60) % 180, max(saturation, 120), 255 - value if 96 < value < 160 else max(value, 90)]]],
        np.uint8,
    )
    blue, green, red = cv2.cvtColor(turned, cv2.COLOR_HSV2BGR)[0, 0]
    return int(blue), int(green), int(red)


def _ink(band: tuple[int, int, int], *, faint: bool) -> tuple[int, int, int]:
    light = 0.114 * band[0] + 0.587 * band[1] + 0.299 * band[2]
    if faint:
        step = 22 if light < 128 else -22
        return tuple(int(np.clip(channel + step, 0, 255)) for channel in band)  # type: ignore[return-value]
    return (20, 20, 20) if light > 140 else (250, 250, 250)

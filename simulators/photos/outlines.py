"""Outlines of the subjects in the base photographs: drawn by hand, refined once, stored as run lengths.

GrabCut (Rother et al., 2004) refines them, which takes half a second of CPU. ``python -m simulators.photos.outlines``
writes them again.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from simulators.photos.assets import Picture, photograph

#: ``(H, W) uint8``; 1 is inside the subject.
Outline: TypeAlias = npt.NDArray[np.uint8]
_Labels: TypeAlias = npt.NDArray[np.uint8]
_FOLDER: Final = Path(__file__).with_name("outlines_data")
_ROW: Final = 24


def stored(name: str) -> Outline:
    """Return a refined outline: height and width, then run lengths in turn outside and inside, row after row."""
    height, width, *runs = map(int, (_FOLDER / f"{name}.txt").read_text().split())
    return np.repeat(np.arange(len(runs), dtype=np.uint8) & 1, runs).reshape(height, width)


def text_of(outline: Outline) -> str:
    """Return the text that ``stored`` reads."""
    flat = outline.ravel()
    edges = np.flatnonzero(np.diff(flat)) + 1
    runs = np.diff([0, *edges, flat.size])
    words = [*map(str, outline.shape), *(["0"] if flat[0] else []), *map(str, runs)]
    return "".join(" ".join(words[at : at + _ROW]) + "\n" for at in range(0, len(words), _ROW))


def portrait() -> Outline:
    """Return the outline of the person in the astronaut portrait."""
    picture = photograph("astronaut")
    labels = np.full(picture.shape[:2], cv2.GC_PR_BGD, np.uint8)
    _fill(
        labels,
        [
            (110, 210),
            (150, 150),
            (300, 150),
            (320, 240),
            (365, 300),
            (370, 350),
            (500, 350),
            (512, 512),
            (20, 512),
            (20, 400),
            (60, 260),
        ],
        cv2.GC_PR_FGD,
    )
    _ellipse(labels, (227, 92), (76, 80), cv2.GC_PR_FGD)
    _ellipse(labels, (226, 95), (55, 62), cv2.GC_FGD)
    _fill(
        labels,
        [
            (150, 205),
            (265, 205),
            (300, 270),
            (330, 300),
            (340, 345),
            (340, 512),
            (60, 512),
            (80, 300),
            (130, 240),
        ],
        cv2.GC_FGD,
    )
    _ellipse(labels, (390, 460), (95, 95), cv2.GC_FGD)
    for rows, columns in (
        (slice(0, 150), slice(0, 120)),
        (slice(0, 140), slice(0, 140)),
        (slice(0, 8), slice(0, 512)),
        (slice(0, 380), slice(0, 20)),
        (slice(380, 512), slice(0, 24)),
        (slice(0, 300), slice(345, 512)),
        (slice(0, 200), slice(320, 512)),
        (slice(300, 340), slice(375, 512)),
        (slice(330, 420), slice(492, 512)),
    ):
        labels[rows, columns] = cv2.GC_BGD
    return _refined(picture, labels, rounds=3)


def cup() -> Outline:
    """Return the outline of the cup, its saucer and its spoon in the coffee photograph."""
    picture = photograph("coffee")
    labels = np.full(picture.shape[:2], cv2.GC_BGD, np.uint8)
    _ellipse(labels, (278, 228), (206, 166), cv2.GC_PR_FGD, angle=8)
    _ellipse(labels, (290, 110), (122, 96), cv2.GC_PR_FGD)
    _ellipse(labels, (278, 230), (188, 145), cv2.GC_FGD, angle=8)
    _ellipse(labels, (290, 105), (108, 78), cv2.GC_FGD)
    cv2.line(labels, (410, 72), (398, 150), cv2.GC_PR_FGD, 34)
    cv2.line(labels, (411, 76), (398, 150), cv2.GC_FGD, 12)
    return _refined(picture, labels, rounds=2)


OUTLINES: Final[dict[str, Callable[[], Outline]]] = {"portrait": portrait, "cup": cup}


def _refined(picture: Picture, labels: _Labels, *, rounds: int) -> Outline:
    background, foreground = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.setRNGSeed(1)
    cv2.grabCut(picture, labels, (0, 0, 1, 1), background, foreground, rounds, cv2.GC_INIT_WITH_MASK)
    inside = ((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)).astype(np.uint8)
    return _largest_part(inside)


def _largest_part(inside: Outline) -> Outline:
    _, parts, stats, _ = cv2.connectedComponentsWithStats(inside)
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    return np.asarray(parts == largest, np.uint8)


def _fill(labels: _Labels, points: list[tuple[int, int]], label: int) -> None:
    cv2.fillPoly(labels, [np.array(points, np.int32)], (label,))


def _ellipse(
    labels: _Labels, centre: tuple[int, int], axes: tuple[int, int], label: int, angle: float = 0
) -> None:
    cv2.ellipse(labels, centre, axes, angle, 0, 360, (label,), -1)


if __name__ == "__main__":
    for _name, _outline in OUTLINES.items():
        (_FOLDER / f"{_name}.txt").write_text(text_of(_outline()))

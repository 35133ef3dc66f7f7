"""Text in a picture: where it stands and what it says, by the two PP-OCR networks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from services.scorer.inference.network import Floats, Image, Network

_SIDE_MAX_PX: Final = 736
_SIDE_STEP_PX: Final = 32
_TEXT_MIN: Final = 0.3
_BOX_MIN: Final = 0.6
_GROWTH: Final = 1.6
"""Area over circumference by which a found core grows to the whole line (DB, Liao 2020)."""
_CORE_SIDE_MIN_PX: Final = 3.0
_LINES_MAX: Final = 60
_LINE_WIDTH_MAX_PX: Final = 960
_UPRIGHT_RATIO: Final = 1.5


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line of text: what it says, how sure the reader is (0..1), and its corners ``(4, 2)`` in pixels."""

    text: str
    confidence: float
    corners: Floats


def read_lines(rgb: Image, detector: Network, reader: Network) -> list[TextLine]:
    """Read all lines of ``(H, W, 3) uint8 RGB``, from top to bottom; at most 60."""
    alphabet = ["", *reader.metadata["character"].splitlines(), " "]
    found = []
    for corners in _find(rgb, detector)[:_LINES_MAX]:
        text, confidence = _decode(
            reader.see(_straightened(rgb, corners, reader.spec.height or 48)), alphabet
        )
        found.append(TextLine(text, confidence, corners))
    return _in_reading_order(found)


def _in_reading_order(lines: list[TextLine]) -> list[TextLine]:
    """Put lines from top to bottom, those of one row from left to right."""
    ordered: list[TextLine] = []
    row: list[TextLine] = []
    for line in sorted(lines, key=lambda box: float(box.corners[:, 1].mean())):
        if row and float(line.corners[:, 1].min()) > float(row[0].corners[:, 1].mean()):
            ordered += sorted(row, key=lambda box: float(box.corners[:, 0].min()))
            row = []
        row.append(line)
    return ordered + sorted(row, key=lambda box: float(box.corners[:, 0].min()))


def _find(rgb: Image, detector: Network) -> list[Floats]:
    height, width = rgb.shape[:2]
    scale = min(1.0, _SIDE_MAX_PX / max(height, width))
    size = tuple(
        max(_SIDE_STEP_PX, round(side * scale / _SIDE_STEP_PX) * _SIDE_STEP_PX) for side in (width, height)
    )
    small = cv2.resize(rgb, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
    likely: Floats = detector.see(small)[0]
    mask = (likely > _TEXT_MIN).astype(np.uint8)
    contours, _ = cv2.findContours(
        cv2.dilate(mask, np.ones((2, 2), np.uint8)), cv2.RETR_LIST, cv2.CHAIN_APPROX_SIMPLE
    )
    ratio = np.array([width / size[0], height / size[1]], np.float32)
    boxes = [(float(cv2.contourArea(contour)), _grown(contour, likely)) for contour in contours]
    largest_first = sorted((box for box in boxes if box[1] is not None), key=lambda box: box[0], reverse=True)
    return [corners * ratio for _, corners in largest_first if corners is not None]


def _grown(contour: NDArray[Any], likely: Floats) -> Floats | None:
    centre, (width, height), angle = cv2.minAreaRect(contour)
    if min(width, height) < _CORE_SIDE_MIN_PX:
        return None
    inside = np.zeros(likely.shape, np.uint8)
    cv2.fillPoly(inside, [contour], (1,))
    if float(likely[inside.astype(bool)].mean()) < _BOX_MIN:
        return None
    grow = 2 * _GROWTH * width * height / (2 * (width + height))
    return cv2.boxPoints((centre, (width + grow, height + grow), angle)).astype(np.float32)


def _straightened(rgb: Image, corners: Floats, height: int) -> Image:
    """Cut the line upright, ``height`` pixels high; a line that stands on its side is laid down."""
    by_sum, by_difference = corners.sum(axis=1), corners[:, 1] - corners[:, 0]
    ordered = corners[[by_sum.argmin(), by_difference.argmin(), by_sum.argmax(), by_difference.argmax()]]
    across = max(1.0, float(np.linalg.norm(ordered[1] - ordered[0])))
    down = max(1.0, float(np.linalg.norm(ordered[3] - ordered[0])))
    if down > _UPRIGHT_RATIO * across:
        ordered, across, down = np.roll(ordered, -1, axis=0), down, across
    width = int(min(_LINE_WIDTH_MAX_PX, max(height, round(height * across / down))))
    wanted = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    to_line = cv2.getPerspectiveTransform(ordered.astype(np.float32), wanted)
    line = cv2.warpPerspective(
        rgb, to_line, (width, height), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )
    return line.astype(np.uint8, copy=False)


def _decode(probabilities: Floats, alphabet: list[str]) -> tuple[str, float]:
    """Take the likeliest sign of each step, without repeats and blanks (CTC, greedy); confidence is their mean."""
    best = probabilities.argmax(axis=1)
    is_letter = (best != 0) & np.concatenate([[True], best[1:] != best[:-1]])
    if not is_letter.any():
        return "", 0.0
    text = "".join(alphabet[index] for index in best[is_letter] if index < len(alphabet))
    return text.strip(), float(probabilities.max(axis=1)[is_letter].mean())

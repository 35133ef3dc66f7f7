"""Distance of the words read in a picture from the ordered words, though readers err and reorder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from services.scorer.domain.brand_words import plain

COPY_LETTERS_MAX: Final = 400
READ_LETTERS_MAX: Final = 1000
_FOUND_SHARE: Final = 0.5
_TAKEN: Final = "\x00"


@dataclass(frozen=True, slots=True)
class CopyMatch:
    """Letters are letters and digits, without case, accents and blanks.

    ``distance`` is the edit distance of the copy's lines from the nearest stretches of what was read. It is
    divided by the copy's letters (0 equal, 1 nothing of it there). ``extra`` is the number of letters read
    that belong to no line of the copy, over the copy's letters. ``found`` tells for each of the copy's lines
    whether half of it was read.
    """

    distance: float
    extra: float
    found: tuple[bool, ...]


def copy_match(copy: str, read: str) -> CopyMatch | None:
    """Compare the copy, line by line, with the text read in reading order; None where the copy has no letter.

    Each stretch of the read text counts for one line only, so a line that was ordered twice must be there twice.
    """
    lines = [line for line in (plain(text) for text in copy.splitlines()) if line]
    total = sum(len(line) for line in lines)
    if not 0 < total <= COPY_LETTERS_MAX:
        return None
    unmatched = plain(read)[:READ_LETTERS_MAX]
    missing, found = 0, []
    # Long lines choose first: a short one would take its letters out of the middle of another.
    for line in sorted(lines, key=len, reverse=True):
        distance, start, end = nearest_stretch(line, unmatched)
        missing += min(distance, len(line))
        found.append((line, distance <= _FOUND_SHARE * len(line)))
        if found[-1][1]:
            unmatched = unmatched[:start] + _TAKEN + unmatched[end:]
    extra = sum(letter != _TAKEN for letter in unmatched)
    found_by_line = dict(found)
    return CopyMatch(missing / total, extra / total, tuple(found_by_line[line] for line in lines))


def nearest_stretch(line: str, text: str) -> tuple[int, int, int]:
    """Return the least edit distance of ``line`` from any stretch of ``text``, and where that stretch starts and ends.

    Source: approximate string matching by dynamic programming with a free start and end (Sellers 1980).
    """
    row = [(0, start) for start in range(len(text) + 1)]
    for i, letter in enumerate(line, 1):
        diagonal, row[0] = row[0], (i, 0)
        for j, other in enumerate(text, 1):
            step = (diagonal[0] + (letter != other), diagonal[1])
            deleted, inserted = (row[j][0] + 1, row[j][1]), (row[j - 1][0] + 1, row[j - 1][1])
            diagonal, row[j] = row[j], min(step, deleted, inserted, key=lambda cost: cost[0])
    end = min(range(len(row)), key=lambda j: row[j][0])
    return row[end][0], row[end][1], end

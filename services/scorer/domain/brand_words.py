"""Word lists: which of a client's words stand in a picture, though reading errs by a letter or two.

A sign reading YAMAHA is read as YAMARA or YAWANA, so words match within an edit distance that grows with their length.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

WORDS_READ_MAX = 200
"""More words than this are cut: a picture that full of text fails other rules, and rules must stay cheap."""


def found_in(listed: Iterable[str], read: Sequence[str], distance_max: int | None = None) -> list[str]:
    """Return the listed words and phrases that were read, in the order of the list.

    ``distance_max`` is the number of letters that may differ. None allows no difference in words of up to
    four letters, one letter in words of five, and two in longer words.
    """
    words = [plain_word for word in read[:WORDS_READ_MAX] if (plain_word := plain(word))]
    return [word for word in listed if _stands_in(word, words, distance_max)]


def distance(left: str, right: str, at_most: int) -> int:
    """Return the Levenshtein distance of two words, or ``at_most + 1`` when it is larger."""
    if abs(len(left) - len(right)) > at_most:
        return at_most + 1
    row = list(range(len(right) + 1))
    for i, letter in enumerate(left, 1):
        diagonal, row[0] = row[0], i
        for j, other in enumerate(right, 1):
            step = diagonal if letter == other else 1 + min(diagonal, row[j], row[j - 1])
            diagonal, row[j] = row[j], step
        if min(row) > at_most:
            return at_most + 1
    return min(row[-1], at_most + 1)


def _stands_in(listed: str, words: list[str], distance_max: int | None) -> bool:
    parts = listed.split()
    phrase = plain(listed)
    allowed = distance_max if distance_max is not None else _allowed(phrase)
    # A reader joins and parts words at will, so windows one word shorter and longer are compared too.
    for size in {max(1, len(parts) - 1), len(parts), len(parts) + 1}:
        for start in range(len(words) - size + 1):
            if distance(phrase, "".join(words[start : start + size]), allowed) <= allowed:
                return True
    return False


def _allowed(phrase: str) -> int:
    return 0 if len(phrase) <= 4 else 1 if len(phrase) == 5 else 2


def plain(text: str) -> str:
    """Leave only letters and digits: no case, accents, punctuation or blanks."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in decomposed if letter.isalnum())

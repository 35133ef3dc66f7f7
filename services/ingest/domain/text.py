"""Free text that clients send: which characters it may hold, and when it is empty."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from winnow.contracts.errors import ErrorCode, Refused

_CONTROLS: Final = r"\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"
"""C0 and C1 controls and DEL, but for tab, line feed and carriage return."""
_BIDI: Final = r"\u202a-\u202e\u2066-\u2069"
"""Embeddings, overrides and isolates: text with them reads otherwise than it is stored (Unicode TR36, CVE-2021-42574).

The marks LRM, RLM and ALM change no order of letters and stay allowed.
"""
_BREAKS: Final = r"\t\n\r\u2028\u2029"
LINES_PATTERN: Final = rf"^[^{_CONTROLS}{_BIDI}]*$"
"""Pattern of a text of several lines; the API's document names it."""
LINE_PATTERN: Final = rf"^[^{_CONTROLS}{_BIDI}{_BREAKS}]*$"
"""Pattern of a text of one line."""
# A search for the first character that is not allowed; a match of the whole would do the same in more steps.
_NOT_IN_LINES: Final = re.compile(rf"[{_CONTROLS}{_BIDI}]")
_NOT_IN_LINE: Final = re.compile(rf"[{_CONTROLS}{_BIDI}{_BREAKS}]")
_BLANK_LETTERS: Final = frozenset("\u034f\u115f\u1160\u2800\u3164\uffa0")
"""Letters and marks without ink that are neither white space nor format characters."""


def check_text(name: str, text: str, *, one_line: bool = False) -> None:
    """Raise Refused with ``characters_not_allowed``, naming the field and the code point, unless all may stand."""
    found = (_NOT_IN_LINE if one_line else _NOT_IN_LINES).search(text)
    if found is not None:
        raise Refused(
            ErrorCode.characters_not_allowed,
            f"{name} holds U+{ord(found[0]):04X} at {found.start()}; control characters and those that change the"
            f" direction of text are not allowed.",
            pointer=name,
        )


def is_blank(text: str) -> bool:
    """Return whether a text shows nothing: only white space, format characters and letters without ink."""
    if text[:1].isalnum() and text[0] not in _BLANK_LETTERS:
        return False
    return all(_is_inkless(letter) for letter in text)


def _is_inkless(letter: str) -> bool:
    if letter.isspace() or letter in _BLANK_LETTERS:
        return True
    # Cf: zero-width characters, the soft hyphen, the byte order mark; variation selectors are marks (Mn).
    return unicodedata.category(letter) in {"Cf", "Cc"} or unicodedata.name(letter, "").startswith(
        "VARIATION"
    )

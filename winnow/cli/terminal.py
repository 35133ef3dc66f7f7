"""Text of others on a terminal: what would move the cursor or change the order of letters is written out."""

from __future__ import annotations

import re
from typing import Final

_UNSAFE: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""C0 and C1 controls and DEL, but for tab and line feed; embeddings, overrides and isolates (CVE-2021-42574)."""


def harmless(text: str) -> str:
    r"""Return the text with every control character written as ``\x1b`` or ``\u202e``; tabs and lines stay."""
    return _UNSAFE.sub(_written_out, text)


def _written_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{code:04x}"

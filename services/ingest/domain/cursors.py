"""Page cursors: opaque text that says after which place the next page starts."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Final

from winnow.contracts.errors import ErrorCode, Refused

_PLACE_MAX: Final = 2**62
"""A stored integer has 64 bits; a forged cursor must not leave them."""


def encode_cursor(place: int, tiebreak: str) -> str:
    """Write a place as a cursor; ``tiebreak`` orders what shares the place."""
    return base64.urlsafe_b64encode(json.dumps([place, tiebreak]).encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> tuple[int, str]:
    """Read a cursor; raises Refused with ``invalid_request`` for text that no page gave."""
    try:
        place, tiebreak = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, TypeError, RecursionError):
        raise _unreadable() from None
    if not isinstance(place, int) or isinstance(place, bool) or not isinstance(tiebreak, str):
        raise _unreadable()
    if not 0 <= place <= _PLACE_MAX or not tiebreak.isascii():
        raise _unreadable()
    return place, tiebreak


def _unreadable() -> Refused:
    return Refused(ErrorCode.invalid_request, "The cursor is not one that a page gave.", pointer="cursor")

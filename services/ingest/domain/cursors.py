"""Page cursors: opaque text that says after which place the next page starts."""

from __future__ import annotations

import base64
import binascii
import json

from winnow.contracts.errors import ErrorCode, Refused


def encode_cursor(place: int, tiebreak: str) -> str:
    """Write a place as a cursor; ``tiebreak`` orders what shares the place."""
    return base64.urlsafe_b64encode(json.dumps([place, tiebreak]).encode()).decode().rstrip("=")


def decode_cursor(cursor: str) -> tuple[int, str]:
    """Read a cursor; raises Refused with ``invalid_request`` for text that no page gave."""
    try:
        place, tiebreak = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError, TypeError):
        raise _unreadable() from None
    if not isinstance(place, int) or isinstance(place, bool) or not isinstance(tiebreak, str):
        raise _unreadable()
    return place, tiebreak


def _unreadable() -> Refused:
    return Refused(ErrorCode.invalid_request, "The cursor is not one that a page gave.", pointer="cursor")

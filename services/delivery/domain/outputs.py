"""Keys of outputs, names of their files, and the lifetime of links to them."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Final

from winnow.contracts.errors import ErrorCode, Refused
from winnow.contracts.values import LINK_MAX_S, Output

LINK_DEFAULT_S: Final = 300

THUMBNAIL_PX: Final = 256
"""Longest side of a thumbnail."""

_EXTENSIONS: Final = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}


def derive_key(secret_key: bytes, purpose: str) -> bytes:
    """Derive a key of 32 bytes for one purpose, so that one secret serves several (as HKDF-Expand does)."""
    return hmac.new(secret_key, f"winnow.delivery.{purpose}.v1".encode(), hashlib.sha256).digest()


def unguessable(name_key: bytes, own_id: str) -> str:
    """Return the 128-bit name of a candidate or a task: stable for us, random to everyone else.

    An own id is derived from the account and its idempotency key. A link that held such an id would let its
    reader test guesses of both.
    """
    return hmac.new(name_key, own_id.encode(), hashlib.sha256).hexdigest()[:32]


def object_key(folder: str, segment: str, *, sha256: str, content_type: str) -> str:
    """Name an object by its unguessable segment and its content; a link shows the name, so no id stands in it."""
    return f"{folder}/{segment}/{sha256}.{_EXTENSIONS[content_type]}"


def file_name(order: str, output: Output, *, thumbnail: bool = False) -> str:
    """Name the file that a client saves: its order's unguessable name, its rank, and whether it is the thumbnail."""
    stored = output.thumbnail if thumbnail else output.stored
    tail = "-thumbnail" if thumbnail else ""
    return f"winnow-{order[:12]}-{output.rank:03d}{tail}.{_EXTENSIONS[stored.content_type]}"


def link_life_s(asked_s: int) -> int:
    """Return the life of a link in seconds; 0 asks for the default. Raises Refused (out_of_bounds)."""
    if asked_s == 0:
        return LINK_DEFAULT_S
    if not 1 <= asked_s <= LINK_MAX_S:
        raise Refused(
            ErrorCode.out_of_bounds,
            f"A link lives 1 to {LINK_MAX_S} seconds.",
            field="expires_in_s",
        )
    return asked_s


def is_kept(ended_at: datetime, now: datetime, retention_s: int) -> bool:
    """Return whether the outputs of a task that ended then are still kept."""
    return now < ended_at + timedelta(seconds=retention_s)

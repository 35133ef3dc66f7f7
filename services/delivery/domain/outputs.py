"""Where outputs lie, what their files are called, and how long links to them live."""

from __future__ import annotations

import hashlib
import hmac
from datetime import datetime, timedelta
from typing import Final

from winnow.contracts.errors import ErrorCode, Refused
from winnow.contracts.values import Output

LINK_DEFAULT_S: Final = 300
LINK_MAX_S: Final = 900
"""Longest life of a presigned link: 15 minutes. Source: the security rules for signed links."""

THUMBNAIL_PX: Final = 256
"""Longest side of a thumbnail."""

_EXTENSIONS: Final = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}


def derive_key(secret_key: bytes, purpose: str) -> bytes:
    """Derive a key of 32 bytes for one purpose, so that one secret serves several (as HKDF-Expand does)."""
    return hmac.new(secret_key, f"winnow.delivery.{purpose}.v1".encode(), hashlib.sha256).digest()


def unguessable(name_key: bytes, candidate_id: str) -> str:
    """Give the 128-bit path segment of a candidate: stable for us, random to everyone else."""
    return hmac.new(name_key, candidate_id.encode(), hashlib.sha256).hexdigest()[:32]


def object_key(folder: str, account_id: str, segment: str, *, sha256: str, content_type: str) -> str:
    """Name an object by its account, its unguessable segment and its content."""
    return f"{folder}/{account_id}/{segment}/{sha256}.{_EXTENSIONS[content_type]}"


def file_name(task_id: str, output: Output, *, thumbnail: bool = False) -> str:
    """Name the file that a client saves: task, rank, and whether it is the thumbnail."""
    stored = output.thumbnail if thumbnail else output.stored
    tail = "-thumbnail" if thumbnail else ""
    return f"winnow-{task_id[-12:]}-{output.rank:03d}{tail}.{_EXTENSIONS[stored.content_type]}"


def link_life_s(asked_s: int) -> int:
    """Give the life of a link in seconds; 0 asks for the default. Raises Refused (out_of_bounds)."""
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
    """Tell whether the outputs of a task that ended then are still kept."""
    return now < ended_at + timedelta(seconds=retention_s)

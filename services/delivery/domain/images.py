"""A finished image: what a client gets, and its thumbnail."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from winnow.contracts.values import StoredObject


class ContentDiffers(ValueError):  # noqa: N818 (the noun of the problem)
    """Bytes are not what was stored."""


@dataclass(frozen=True, slots=True)
class Picture:
    """An encoded image; width and height in pixels."""

    content: bytes
    content_type: str
    width: int
    height: int
    sha256: str

    @classmethod
    def of(cls, content: bytes, content_type: str, *, width: int, height: int) -> Picture:
        """Take the bytes and their hash, which costs about 2 ms per MiB."""
        return cls(content, content_type, width, height, hashlib.sha256(content).hexdigest())


@dataclass(frozen=True, slots=True)
class FinishedImage:
    """The file to deliver and its thumbnail, both without metadata."""

    output: Picture
    thumbnail: Picture


def is_intact(content: bytes, stored: StoredObject) -> bool:
    """Return whether bytes are what was stored, by size and hash."""
    return len(content) == stored.size_bytes and hashlib.sha256(content).hexdigest() == stored.sha256

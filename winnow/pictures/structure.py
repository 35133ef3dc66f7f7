"""The result of reading the structure of a picture file, and its refusals."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PARTS_MAX: Final = 65_536
"""Segments or chunks of a file. A PNG of 20 MiB in pieces of 512 bytes has fewer; walking so many takes 50 ms."""


class BadStructure(ValueError):  # noqa: N818 (the noun of the problem)
    """The bytes are not a still picture of a known format; ``reason`` is a stable word."""

    def __init__(self, reason: str) -> None:
        """Keep the reason."""
        super().__init__(reason)
        self.reason = reason


class CutShort(BadStructure):
    """The file ends before the picture does."""

    def __init__(self) -> None:
        """Name the reason."""
        super().__init__("cut_short")


@dataclass(frozen=True, slots=True)
class Structure:
    """Format and size in pixels as stored; ``is_whole`` says that the file ends where the picture does."""

    content_type: str
    width: int
    height: int
    is_whole: bool

"""Anchors: the heads of every chain, written to a place that nobody who can rewrite the stores can reach.

A chain shows every change but one: a suffix that is written again with all its hashes. That shows only
against a head that was kept elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from winnow.audit.chains import Head
from winnow.contracts.envelope import Instant, Value

_Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class AnchoredHead(Value):
    """The head of one chain; ``first`` and ``last`` are block numbers or offsets."""

    first: int
    last: int
    hash: _Hash


class Anchor(Value):
    """The heads of the chains at one time, by lane."""

    format: Literal[1] = 1
    made_at: Instant
    heads: dict[str, AnchoredHead]

    def by_lane(self) -> dict[str, Head]:
        """Return the heads as chains take them."""
        return {lane: Head(head.first, head.last, head.hash) for lane, head in self.heads.items()}


_ANCHOR: TypeAdapter[Anchor] = TypeAdapter(Anchor)


def anchor_of(heads: Mapping[str, Head], made_at: datetime) -> Anchor:
    """Make an anchor; chains without an item have nothing to anchor."""
    return Anchor(
        made_at=made_at,
        heads={
            lane: AnchoredHead(first=head.first, last=head.last, hash=head.hash)
            for lane, head in sorted(heads.items())
            if head.last >= head.first and head.last >= 0
        },
    )


def write_anchor(anchor: Anchor) -> bytes:
    """Return an anchor as text."""
    return _ANCHOR.dump_json(anchor, indent=1) + b"\n"


def read_anchor(text: bytes) -> Anchor:
    """Read an anchor; raises ValueError for a text that is none."""
    try:
        return _ANCHOR.validate_json(text)
    except ValidationError as error:
        msg = f"it is not an anchor ({error.error_count()} faults)"
        raise ValueError(msg) from None

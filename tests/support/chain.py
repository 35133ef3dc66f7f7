"""The hash chain of a journal, checked as it is kept in memory."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from winnow.eventstore import Block
from winnow.eventstore.model import GENESIS


def verify_chain(blocks: Iterable[Block]) -> str | None:
    """Check the hash chain of one shard from its first block; return the id of the first bad block."""
    previous = GENESIS
    for number, block in enumerate(blocks, start=1):
        if (
            block.block_no != number
            or block.prev_hash != previous
            or replace(block, hash="").digest() != block.hash
        ):
            return block.block_id
        previous = block.hash
    return None

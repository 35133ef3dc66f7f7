"""The order in which journals are sent again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import timedelta

from tests.support.journal_store_suite import AT, block
from winnow.audit.reemit import merged
from winnow.eventstore import Block


async def _lane(blocks: Sequence[Block]) -> AsyncIterator[Block]:
    for stored in blocks:
        yield stored


def _at(shard: str, number: int, second: int) -> Block:
    return replace(block(shard, number, [f"{shard}-{number}"]), at=AT + timedelta(seconds=second))


async def _order(*lanes: Sequence[Block]) -> list[tuple[int, str]]:
    return [
        (number, merged_block.block_id)
        async for number, merged_block in merged([_lane(lane) for lane in lanes])
    ]


async def test_what_was_decided_first_stands_first() -> None:
    asked = [_at("asked", 1, 0), _at("asked", 2, 4)]
    answered = [_at("answered", 1, 1), _at("answered", 2, 5)]
    assert await _order(answered, [], asked) == [
        (2, "asked:1"),
        (0, "answered:1"),
        (2, "asked:2"),
        (0, "answered:2"),
    ]


async def test_a_clock_that_went_back_does_not_turn_a_journal_round() -> None:
    assert await _order([_at("a", 1, 9), _at("a", 2, 0)], [_at("b", 1, 5)]) == [
        (1, "b:1"),
        (0, "a:1"),
        (0, "a:2"),
    ]

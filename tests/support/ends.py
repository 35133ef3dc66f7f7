"""Ends of partitions, whatever the broker, for a reader that must not miss the last record."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from aiokafka import TopicPartition


async def ends_of(consumer: Any, lanes: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
    """Return the offset after the last record of each partition; the consumer then stands at their first.

    It is the high watermark of a fetch. Asked for the latest offset, Tansu counts a last batch of several records as
    one, so that ``end_offsets`` leaves the others out until something follows.
    """
    consumer.assign(lanes)
    await consumer.seek_to_beginning(*lanes)
    while any(consumer.highwater(lane) is None for lane in lanes):
        await consumer.getmany(timeout_ms=100)
    await consumer.seek_to_beginning(*lanes)
    return {lane: consumer.highwater(lane) for lane in lanes}


async def records_of(consumer: Any, lanes: Sequence[TopicPartition]) -> AsyncIterator[Any]:
    """Read partitions from their first record to where they end now, one after the other."""
    ends = await ends_of(consumer, lanes)
    for lane in lanes:
        while await consumer.position(lane) < ends[lane]:
            yield await consumer.getone(lane)

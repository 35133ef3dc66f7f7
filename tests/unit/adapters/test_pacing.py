"""The pace of reading from a polling broker, and that no record is missed between two fetches."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from winnow.adapters.pacing import BUSY_RECORDS_PER_S, BUSY_REST_S, UNDER_WAY_S, Pace, PacedReader

REST_S = 0.15


def test_at_rest_the_broker_is_left_alone() -> None:
    assert Pace(REST_S).rest_s(0.0) == REST_S


def test_while_an_order_is_under_way_the_next_fetch_begins_at_once() -> None:
    pace = Pace(REST_S)
    pace.note(3, 10.0)
    assert pace.rest_s(10.0) == 0.0
    assert pace.rest_s(10.0 + UNDER_WAY_S - 0.001) == 0.0
    assert pace.rest_s(10.0 + UNDER_WAY_S) == REST_S


def test_what_is_sent_may_be_answered() -> None:
    pace = Pace(REST_S)
    pace.expect(10.0)
    assert pace.rest_s(10.5) == 0.0


def test_a_fetch_in_vain_expects_nothing() -> None:
    pace = Pace(REST_S)
    pace.note(0, 10.0)
    assert pace.rest_s(10.0) == REST_S


def test_under_load_records_gather_before_the_next_fetch() -> None:
    pace = Pace(REST_S)
    for step in range(20):
        pace.note(BUSY_RECORDS_PER_S // 10 + 5, step / 10)
    assert pace.rest_s(2.0) == BUSY_REST_S


def test_after_load_the_line_is_prompt_and_then_at_rest() -> None:
    pace = Pace(REST_S)
    pace.note(10 * BUSY_RECORDS_PER_S, 0.0)
    rests = [pace.rest_s(ms / 1000) for ms in range(0, 3000, 50)]
    assert rests[0] == BUSY_REST_S
    assert rests[-1] == REST_S


@given(st.lists(st.tuples(st.integers(0, 500), st.floats(0.0, 1.0)), max_size=50), st.floats(0.001, 5.0))
def test_no_rest_is_longer_than_the_longest(read: list[tuple[int, float]], rest_s: float) -> None:
    pace = Pace(rest_s)
    now_s = 0.0
    for count, after_s in read:
        now_s += after_s
        pace.note(count, now_s)
        assert 0.0 <= pace.rest_s(now_s) <= rest_s


class Consumer:
    """Consumer whose partitions hold records; a paused partition returns none."""

    def __init__(self, **records: list[int]) -> None:
        self.records = records
        self.running: set[str] = set(records)
        self.fetches: list[set[str]] = []

    def assignment(self) -> frozenset[str]:
        return frozenset(self.records)

    def pause(self, *partitions: str) -> None:
        self.running -= set(partitions)

    def resume(self, *partitions: str) -> None:
        self.running |= set(partitions)

    async def getmany(self, *, timeout_ms: int, max_records: int | None) -> dict[str, list[int]]:
        assert timeout_ms > 0
        assert max_records is None
        self.fetches.append(set(self.running))
        return {name: self.records[name] for name in self.running if self.records[name]}


async def _batch(reader: PacedReader, consumer: Consumer) -> Any:
    return await reader.getmany(consumer, timeout_ms=10, max_records=None)


async def test_partitions_are_read_only_while_a_batch_is_asked_for() -> None:
    consumer = Consumer(left=[1], right=[])
    assert await _batch(PacedReader(0.001), consumer) == {"left": [1]}
    assert consumer.fetches == [{"left", "right"}]
    assert consumer.running == set()


async def test_a_partition_that_is_held_is_left_out_until_it_is_released() -> None:
    consumer = Consumer(left=[1], right=[2])
    reader = PacedReader(0.001)
    await _batch(reader, consumer)
    reader.held.add("left")
    assert await _batch(reader, consumer) == {"right": [2]}
    reader.held.discard("left")
    assert await _batch(reader, consumer) == {"left": [1], "right": [2]}


async def test_a_message_of_our_own_ends_the_rest() -> None:
    # A rest of an hour would outlast the test.
    reader = PacedReader(3600.0)
    batch = asyncio.create_task(_batch(reader, Consumer(left=[1])))
    await asyncio.sleep(0)
    assert not batch.done()
    reader.expect()
    assert await batch == {"left": [1]}


async def test_a_consumer_that_fails_is_left_paused() -> None:
    class Failing(Consumer):
        async def getmany(self, *, timeout_ms: int, max_records: int | None) -> dict[str, list[int]]:
            raise OSError

    consumer = Failing(left=[1])
    outcome = await asyncio.gather(_batch(PacedReader(0.001), consumer), return_exceptions=True)
    assert isinstance(outcome[0], OSError)
    assert consumer.running == set()

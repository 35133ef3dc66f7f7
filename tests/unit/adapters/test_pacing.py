"""The pace of reading from a polling broker, and that no record is missed between two fetches."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from winnow.adapters.pacing import (
    BUSY_RECORDS_PER_S,
    BUSY_REQUESTS,
    BUSY_REST_S,
    UNDER_WAY_S,
    Pace,
    PacedReader,
)

REST_S = 0.15
FETCH_MS = 20
LONGER_MS = 50


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


def test_a_steady_trickle_of_many_requests_is_gathered() -> None:
    pace = Pace(REST_S)
    for number in range(30):
        pace.note(1, number / 10)
        pace.note_requests([f"request-{number}"], number / 10)
    assert pace.rest_s(2.95) == BUSY_REST_S


def test_orders_one_after_another_are_read_at_once() -> None:
    # An order brings 14 records in 200 ms, and the next one begins when it has ended.
    pace = Pace(REST_S)
    rests = []
    for number in range(25):
        for step in range(14):
            now_s = number / 5 + step / 70
            pace.note(1, now_s)
            pace.note_requests([f"request-{number}"], now_s)
            rests.append(pace.rest_s(now_s))
    assert set(rests) == {0.0}


def test_a_request_of_many_records_is_one_request() -> None:
    pace = Pace(REST_S)
    pace.note(5 * BUSY_REQUESTS, 10.0)
    pace.note_requests(["the same"] * 5 * BUSY_REQUESTS, 10.0)
    assert pace.rest_s(10.0) == 0.0


def test_requests_are_forgotten_a_second_after_their_last_record() -> None:
    pace = Pace(REST_S)
    pace.note(BUSY_REQUESTS, 10.0)
    pace.note_requests(map(str, range(BUSY_REQUESTS)), 10.0)
    pace.note_requests(["0"], 10.5)
    assert pace.rest_s(10.9) == BUSY_REST_S
    pace.expect(11.0)
    assert pace.rest_s(11.0) == 0.0


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
        self.stopped: set[str] = set()
        self.fetches: list[set[str]] = []
        self.waits_ms: list[int] = []

    def assignment(self) -> frozenset[str]:
        return frozenset(self.records)

    def paused(self) -> set[str]:
        return set(self.stopped)

    def pause(self, *partitions: str) -> None:
        self.stopped |= set(partitions)

    def resume(self, *partitions: str) -> None:
        self.stopped -= set(partitions)

    async def getmany(self, *, timeout_ms: int, max_records: int | None) -> dict[str, list[int]]:
        assert max_records is None
        self.waits_ms.append(timeout_ms)
        running = set(self.records) - self.stopped
        self.fetches.append(running)
        return {name: self.records[name] for name in sorted(running) if self.records[name]}


def _reader(rest_s: float) -> PacedReader:
    return PacedReader(rest_s, FETCH_MS)


async def _batch(reader: PacedReader, consumer: Consumer) -> Any:
    return await reader.getmany(consumer, timeout_ms=LONGER_MS, max_records=None)


async def test_at_rest_no_partition_is_read_between_two_fetches() -> None:
    consumer, reader = Consumer(left=[], right=[]), _reader(0.001)
    for _ in range(2):
        assert await _batch(reader, consumer) == {}
        assert consumer.stopped == {"left", "right"}
    assert consumer.fetches == [{"left", "right"}] * 2


async def test_at_rest_the_broker_is_asked_once_a_rest() -> None:
    # The consumer fetches again by itself when a fetch comes back in vain.
    consumer = Consumer(left=[])
    await _batch(_reader(0.001), consumer)
    assert consumer.waits_ms == [FETCH_MS]


async def test_while_an_order_is_under_way_nothing_is_paused() -> None:
    consumer, reader = Consumer(left=[1], right=[]), _reader(3600.0)
    assert await _batch(reader, consumer) == {"left": [1]}
    assert consumer.stopped == set()
    assert await _batch(reader, consumer) == {"left": [1]}
    assert consumer.waits_ms == [FETCH_MS, LONGER_MS]


async def test_many_requests_are_read_in_batches() -> None:
    consumer, reader = Consumer(left=[1]), _reader(0.001)
    reader.note_requests(map(str, range(BUSY_REQUESTS)))
    assert await _batch(reader, consumer) == {"left": [1]}
    assert consumer.stopped == {"left"}
    assert await _batch(reader, consumer) == {"left": [1]}
    assert consumer.waits_ms == [FETCH_MS, LONGER_MS]


async def test_a_partition_that_is_held_is_left_out_until_it_is_released() -> None:
    consumer, reader = Consumer(left=[1], right=[2]), _reader(0.001)
    await _batch(reader, consumer)
    reader.held.add("left")
    consumer.pause("left")
    assert await _batch(reader, consumer) == {"right": [2]}
    reader.held.discard("left")
    assert await _batch(reader, consumer) == {"left": [1], "right": [2]}


async def test_a_partition_that_is_held_at_rest_stays_so() -> None:
    consumer, reader = Consumer(left=[], right=[]), _reader(0.001)
    reader.held.add("left")
    consumer.pause("left")
    await _batch(reader, consumer)
    await _batch(reader, consumer)
    assert consumer.fetches == [{"right"}] * 2


async def test_a_partition_that_came_during_a_rest_is_read() -> None:
    consumer, reader = Consumer(left=[]), _reader(0.001)
    await _batch(reader, consumer)
    consumer.records = {"right": [2]}
    consumer.stopped = set()
    assert await _batch(reader, consumer) == {"right": [2]}


async def test_a_message_of_our_own_ends_the_rest() -> None:
    # A rest of an hour would outlast the test.
    consumer, reader = Consumer(left=[]), _reader(3600.0)
    await _batch(reader, consumer)
    consumer.records["left"].append(1)
    batch = asyncio.create_task(_batch(reader, consumer))
    await asyncio.sleep(0)
    assert not batch.done()
    reader.expect()
    assert await batch == {"left": [1]}


async def test_a_consumer_that_fails_is_asked_again() -> None:
    class Failing(Consumer):
        async def getmany(self, *, timeout_ms: int, max_records: int | None) -> dict[str, list[int]]:
            if not self.waits_ms:
                self.waits_ms.append(timeout_ms)
                raise OSError
            return await super().getmany(timeout_ms=timeout_ms, max_records=max_records)

    consumer, reader = Failing(left=[1]), _reader(0.001)
    outcome = await asyncio.gather(_batch(reader, consumer), return_exceptions=True)
    assert isinstance(outcome[0], OSError)
    assert await _batch(reader, consumer) == {"left": [1]}

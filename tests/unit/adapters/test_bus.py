"""The bus: how long it rests after a wait in vain, and after a record that fails."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import anyio
import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from tests.unit.adapters.builders import _handle, unconnected_bus
from winnow.adapters.bus import BUG_TRIES_MAX
from winnow.adapters.partitions import Consumed, Source
from winnow.adapters.records import ConsumedRecord
from winnow.contracts.errors import Unavailable
from winnow.contracts.upcast import MessageRegistry


class Consumer:
    """Consumer that returns its batches, one a wait."""

    def __init__(self, *batches: dict[str, list[int]]) -> None:
        self._batches = iter(batches)

    async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[str, list[int]]:
        assert timeout_ms > 0
        assert max_records > 0
        return next(self._batches)


async def test_after_a_wait_that_brought_nothing_the_next_begins_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def rest(_seconds: float) -> None:
        raise AssertionError("it rests, and what comes meanwhile lies there")

    monkeypatch.setattr(anyio, "sleep", rest)
    bus = unconnected_bus()
    bus.subscribe(["topic"], "group", MessageRegistry(()), _handle)
    (subscriber,) = bus.broker.subscribers
    reading: Any = subscriber
    consumer = Consumer({}, {"one": [1, 2], "another": [3]})
    assert await reading.get_msg(consumer) == ()
    assert await reading.get_msg(consumer) == (1, 2, 3)


class Partition:
    """One partition of records that all fail, read as the bus seeks."""

    def __init__(self, count: int) -> None:
        self.lane = TopicPartition("topic", 0)
        self.at = 0
        self._count = count

    def assignment(self) -> set[TopicPartition]:
        return {self.lane}

    def highwater(self, _lane: TopicPartition) -> int:
        return self._count

    def seek(self, _lane: TopicPartition, offset: int) -> None:
        self.at = offset

    async def commit(self, _offsets: dict[TopicPartition, int]) -> None:
        """Keep nothing: where to read on is where the bus has sought."""

    def batch(self) -> SimpleNamespace:
        records = [
            SimpleNamespace(topic="topic", partition=0, offset=index, key=b"", value=b"{}", headers=())
            for index in range(self.at, self._count)
        ]
        return SimpleNamespace(raw_message=records, consumer=self)


async def test_a_record_put_aside_does_not_make_the_next_failure_wait_longer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rests: list[float] = []
    aside: list[bytes] = []

    async def rest(seconds: float) -> None:
        rests.append(seconds)

    async def fail(_source: Source, received: Sequence[ConsumedRecord]) -> Consumed:
        if received[0].body == b"":
            return Consumed(received[0].offset + 1)
        return Consumed(received[0].offset, failed=ArithmeticError("a bug of the test"))

    async def publish(body: bytes, **_: object) -> asyncio.Future[object]:
        aside.append(body)
        done: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    bus = unconnected_bus()
    bus.subscribe(["topic"], "group", MessageRegistry(()), fail)
    monkeypatch.setattr("winnow.adapters.bus.asyncio.sleep", rest)
    monkeypatch.setattr(bus.broker, "publish", publish)
    partition = Partition(3)
    for _ in range(3 * BUG_TRIES_MAX):
        await bus._on_batch(partition.batch())
    assert len(aside) == 3
    assert partition.at == 3
    first = rests[: len(rests) // 3]
    assert first == sorted(first)
    assert rests == first * 3


async def test_a_start_gives_up_on_a_broker_that_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    async def away() -> None:
        raise KafkaConnectionError

    bus = unconnected_bus()
    monkeypatch.setattr(bus.broker, "start", away)
    with pytest.raises(Unavailable, match="Kafka does not answer") as raised:
        await bus.start(within_s=0.0)
    assert isinstance(raised.value.__cause__, KafkaConnectionError)


async def test_a_slow_rebalance_does_not_end_a_start(monkeypatch: pytest.MonkeyPatch) -> None:
    # A group shares out its partitions when its slowest member polls again, long after the broker has answered.
    assigned = asyncio.Event()
    bus = unconnected_bus()
    monkeypatch.setattr(bus.broker, "start", assigned.wait)
    starting = asyncio.create_task(bus.start(within_s=0.0))
    loop = asyncio.get_running_loop()
    loop.call_later(0.05, assigned.set)
    await starting

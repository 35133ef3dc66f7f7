"""The bus and versions: a well-formed newer record is never dead-lettered, and a known one is never lost."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import REGISTRY as METRICS

from tests.support.builders.weights import STEPS, WEIGHED, text
from tests.unit.adapters.builders import unconnected_bus
from winnow.adapters.partitions import Consumed, Source
from winnow.adapters.records import ConsumedRecord

NEWEST = 3
KNOWN: dict[int, dict[str, Any]] = {
    1: {"weight_g": 5},
    2: {"weight_mg": 5000},
    3: {"weight_mg": 5000, "scale": "unknown"},
}
assert len(STEPS) == NEWEST - 1

extra = st.dictionaries(st.from_regex(r"later_[a-z]{1,4}", fullmatch=True), st.integers(), max_size=2)
noise = st.sampled_from([None, b"x", b"0", b"-1", b"1.5", b"", b"9" * 40])


@st.composite
def known(draw: st.DrawFn) -> tuple[str, str, bytes | None, str]:
    """Draw a record of a known version; its header may be missing, wrong or without sense."""
    version = draw(st.sampled_from(sorted(KNOWN)))
    header = draw(noise | st.integers(1, 9).map(lambda number: str(number).encode()))
    return "known", "test.weighed", header, text(version, **(draw(extra) | KNOWN[version]))


@st.composite
def newer(draw: st.DrawFn) -> tuple[str, str, bytes | None, str]:
    """Draw a record of a newer version: of any shape, and under its header in any encoding."""
    version = draw(st.integers(NEWEST + 1, 99))
    if draw(st.booleans()):
        return "newer", "test.weighed", str(version).encode(), draw(st.text(max_size=20)) + "\x00"
    header = draw(noise | st.just(str(version).encode()))
    return "newer", "test.weighed", header, text(version, **draw(extra))


@st.composite
def unknown(draw: st.DrawFn) -> tuple[str, str, bytes | None, str]:
    """Draw a record of a type that this reader has no use for, or that nobody knows yet."""
    body = draw(st.text(max_size=20)) if draw(st.booleans()) else text(draw(st.integers(1, 99)))
    return "unknown", "test.measured", draw(noise), body


@st.composite
def poison(draw: st.DrawFn) -> tuple[str, str, bytes | None, str]:
    """Draw a record of a known version that does not fit it, or that is no JSON."""
    body = draw(st.sampled_from(["", "{", "[]", text(1), text(2, weight_mg="x"), text(3, weight_mg=1)]))
    return "poison", "test.weighed", draw(noise | st.sampled_from([b"1", b"2", b"3"])), body


def record(offset: int, drawn: tuple[str, str, bytes | None, str]) -> SimpleNamespace:
    _, type_name, header, body = drawn
    headers = [("type", type_name.encode())] + ([("version", header)] if header is not None else [])
    return SimpleNamespace(
        topic="weights", partition=0, offset=offset, key=b"", value=body.encode(), headers=headers
    )


class Reader:
    """A bus over records in memory; keeps what its handler got, what it dead-lettered and what it committed."""

    def __init__(self) -> None:
        self.received: list[ConsumedRecord] = []
        self.dead_lettered: list[bytes] = []
        self.committed = 0
        self.unconnected_bus = unconnected_bus()
        self.unconnected_bus.subscribe(["weights"], "group", WEIGHED, self._handle)
        self.unconnected_bus.broker.publish = self._publish  # type: ignore[method-assign,assignment]

    async def read(self, records: Sequence[SimpleNamespace], batch: int) -> None:
        for at in range(0, len(records), batch):
            message: Any = SimpleNamespace(raw_message=records[at : at + batch], consumer=self)
            await self.unconnected_bus._on_batch(message)

    async def _handle(self, _source: Source, received: Sequence[ConsumedRecord]) -> Consumed:
        self.received += received
        return Consumed(received[-1].offset + 1)

    async def _publish(self, body: bytes, **_: object) -> asyncio.Future[object]:
        self.dead_lettered.append(body)
        done: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    # What the bus sees of a consumer.

    def assignment(self) -> set[TopicPartition]:
        return {TopicPartition("weights", 0)}

    def highwater(self, _lane: TopicPartition) -> int:
        return 0

    def seek(self, _lane: TopicPartition, _offset: int) -> None:
        raise AssertionError("nothing here is read twice")

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        (self.committed,) = offsets.values()


def skipped() -> float:
    labels = {"topic": "weights", "type": "test.weighed"}
    return METRICS.get_sample_value("winnow_bus_newer_records_total", labels) or 0.0


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(known() | newer() | unknown() | poison(), min_size=1, max_size=12), st.integers(1, 5))
def test_newer_records_are_skipped_and_known_ones_are_read(
    drawn: list[tuple[str, str, bytes | None, str]], batch: int
) -> None:
    before = skipped()
    reader = Reader()
    records = [record(offset, drawing) for offset, drawing in enumerate(drawn)]
    asyncio.run(reader.read(records, batch))

    assert [read.offset for read in reader.received] == list(range(len(drawn)))
    assert reader.committed == len(drawn)
    wanted = {offset for offset, drawing in enumerate(drawn) if drawing[0] == "known"}
    assert {read.offset for read in reader.received if read.recorded is not None} == wanted
    for read in reader.received:
        if read.recorded is not None:
            document = read.recorded.to_document()
            assert (document["version"], document["weight_mg"]) == (NEWEST, 5000)
    assert reader.dead_lettered == [drawing[3].encode() for drawing in drawn if drawing[0] == "poison"]
    assert skipped() - before == sum(drawing[0] == "newer" for drawing in drawn)


@pytest.mark.parametrize("header", [b"1", b"2", None])
def test_a_record_that_is_nested_too_deeply_is_poison_and_its_neighbour_is_handled(
    header: bytes | None,
) -> None:
    deep = "[" * 5000
    drawn = [("poison", "test.weighed", header, deep), ("known", "test.weighed", None, text(3, **KNOWN[3]))]
    reader = Reader()
    asyncio.run(reader.read([record(offset, drawing) for offset, drawing in enumerate(drawn)], 2))
    assert [read.recorded is not None for read in reader.received] == [False, True]
    assert reader.dead_lettered == [deep.encode()]
    assert reader.committed == 2


def test_a_newer_version_is_logged_once(capsys: Any) -> None:
    records = [record(offset, ("newer", "test.weighed", b"4", text(4))) for offset in range(5)]
    records.append(record(5, ("newer", "test.weighed", b"5", text(5))))
    asyncio.run(Reader().read(records, 2))
    logged = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]
    skips = [line for line in logged if line["event"] == "bus.record.newer_version_skipped"]
    assert [(skip["type"], skip["version"], skip["known"]) for skip in skips] == [
        ("test.weighed", 4, 3),
        ("test.weighed", 5, 3),
    ]


async def test_a_held_partition_is_paused_and_its_neighbours_are_read() -> None:
    bus, calls = unconnected_bus(), list[tuple[Any, ...]]()
    held, other = TopicPartition("weights", 0), TopicPartition("weights", 1)

    async def handle(source: Source, received: Sequence[ConsumedRecord]) -> Consumed:
        if source.partition == 0:
            return Consumed(received[0].offset, held_for_s=0.01)
        return Consumed(received[-1].offset + 1)

    class Consumer:
        def assignment(self) -> set[TopicPartition]:
            return {held, other}

        def highwater(self, _lane: TopicPartition) -> int:
            return 0

        def pause(self, lane: TopicPartition) -> None:
            calls.append(("pause", lane))

        def seek(self, lane: TopicPartition, offset: int) -> None:
            calls.append(("seek", lane, offset))

        def resume(self, lane: TopicPartition) -> None:
            calls.append(("resume", lane))
            resumed.set()

        async def commit(self, offsets: dict[TopicPartition, int]) -> None:
            calls.append(("commit", offsets))

    resumed = asyncio.Event()
    bus.subscribe(["weights"], "group", WEIGHED, handle)
    records = [record(7, ("known", "test.weighed", None, text(3, **KNOWN[3]))) for _ in range(2)]
    records[1].partition = 1
    message: Any = SimpleNamespace(raw_message=records, consumer=Consumer())
    async with asyncio.timeout(5):
        await bus._on_batch(message)
        assert calls == [("pause", held), ("seek", held, 7), ("commit", {other: 8})]
        await resumed.wait()
    assert calls[-1] == ("resume", held)

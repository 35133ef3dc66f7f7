"""Topics whose oldest records the broker has deleted give no stores, unless an archive holds those records."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition

from tests.support.clock import SetClock
from tests.unit.audit.chain_builders import AT, records
from winnow.audit.archive_source import ArchiveSource
from winnow.audit.archiving import ArchiveWriter
from winnow.audit.blob_store import LocalBlobs, Location
from winnow.audit.rebuild_session import RebuildRefused, RebuildSession
from winnow.audit.replay import BrokenChain

TOPIC = "winnow.tasks.v1"
LANE = TopicPartition(TOPIC, 0)


class Consumer:
    """Reads one partition that holds the records from ``first`` to ``last``."""

    def __init__(self, first: int, last: int) -> None:
        self._first = first
        self._kept = [record for record in records(last + 1) if record["offset"] >= first]
        self._at = 0

    async def topics(self) -> set[str]:
        return {TOPIC}

    def partitions_for_topic(self, topic: str) -> set[int]:
        assert topic == TOPIC
        return {0}

    def assign(self, lanes: list[TopicPartition]) -> None:
        assert lanes == [LANE]

    async def beginning_offsets(self, lanes: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(lanes, self._first)

    def seek(self, lane: TopicPartition, offset: int) -> None:
        self._at = offset

    def highwater(self, lane: TopicPartition) -> int:
        return int(self._kept[-1]["offset"]) + 1

    async def position(self, lane: TopicPartition) -> int:
        return self._at

    async def getmany(self, *lanes: TopicPartition, timeout_ms: int) -> dict[TopicPartition, list[Any]]:
        found = [record for record in self._kept if record["offset"] >= self._at]
        self._at = self.highwater(LANE)
        return {LANE: [_as_read(record) for record in found]} if found else {}


def _as_read(document: dict[str, Any]) -> Any:
    return SimpleNamespace(
        topic=TOPIC,
        partition=0,
        offset=document["offset"],
        timestamp=document["timestamp_ms"],
        key=document["key"].encode(),
        value=document["body"].encode(),
        headers=(),
    )


async def read(
    consumer: Consumer, monkeypatch: pytest.MonkeyPatch, archived: ArchiveSource | None = None
) -> list[int]:
    """Return the offsets that a rebuilding would read."""

    @asynccontextmanager
    async def reading(bootstrap: str) -> AsyncIterator[Consumer]:
        yield consumer

    monkeypatch.setattr("winnow.audit.sources.connected_consumer", reading)
    settings: Any = SimpleNamespace(kafka_bootstrap="")
    nothing: Any = None
    session = RebuildSession(settings, "database", nothing, archived)
    return [kept.offset async for kept in session.records([TOPIC])]


async def archive(folder: Path, count: int) -> Location:
    writer = await ArchiveWriter.on(LocalBlobs(folder), SetClock(AT))
    for record in records(count):
        await writer.add(f"topic/{TOPIC}/0", record)
    await writer.finish()
    return Location(str(folder))


async def test_a_whole_topic_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await read(Consumer(0, 5), monkeypatch) == [0, 1, 2, 3, 4, 5]


async def test_deleted_records_are_named_and_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RebuildRefused) as refused:
        await read(Consumer(3, 5), monkeypatch)
    assert str(refused.value) == (
        f"topic/{TOPIC}/0: the broker has deleted records 0 to 2, which only an archive can give back"
    )


@pytest.mark.parametrize("count", [3, 5, 6])
async def test_an_archive_gives_deleted_records_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    place = await archive(tmp_path, count)
    async with ArchiveSource.at(place) as archived:
        assert await read(Consumer(3, 5), monkeypatch, archived) == [0, 1, 2, 3, 4, 5]


async def test_an_archive_that_ends_before_the_gap_does_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = await archive(tmp_path, 2)
    async with ArchiveSource.at(place) as archived:
        with pytest.raises(RebuildRefused, match="has deleted records 2 to 2"):
            await read(Consumer(3, 5), monkeypatch, archived)


def _shorten(folder: Path) -> None:
    (segment,) = folder.rglob("*.zst")
    segment.write_bytes(segment.read_bytes()[:-1])


async def test_a_changed_archive_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = await archive(tmp_path, 3)
    _shorten(tmp_path)
    async with ArchiveSource.at(place) as archived:
        with pytest.raises(BrokenChain, match="was changed"):
            await read(Consumer(3, 5), monkeypatch, archived)

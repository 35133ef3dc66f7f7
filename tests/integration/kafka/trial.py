"""One fault under load: what went on before it, how long until it went on again, and whether all promises held."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from tests.integration.kafka.load import (
    PARTITIONS,
    CommitWatch,
    Readers,
    Writer,
    all_handled,
    bus_of,
    first_places,
    log_of,
)
from tests.support.eventually import eventually
from tests.support.servers.kafka.cluster import KafkaCluster

FIGURES = Path(__file__).resolve().parents[3] / "build/bench"


@dataclass
class Trial:
    """A topic with a writer and readers on it, watched."""

    name: str
    cluster: KafkaCluster
    writer: Writer
    readers: Readers
    watch: CommitWatch
    began_s: float = field(default_factory=time.monotonic)
    figures: dict[str, float] = field(default_factory=dict)
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)

    @classmethod
    @contextlib.asynccontextmanager
    async def running(cls, cluster: KafkaCluster, name: str) -> AsyncIterator[Trial]:
        """Make the topic, start everything and wait until every partition is written, read and committed."""
        admin = AIOKafkaAdminClient(bootstrap_servers=cluster.bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic(name, PARTITIONS, len(cluster.numbers))])
        await admin.close()
        bus = bus_of(cluster.bootstrap, f"{name}-writer")
        await bus.start()
        readers = Readers(cluster.bootstrap, name, f"{name}-readers")
        trial = cls(name, cluster, Writer(bus, name), readers, CommitWatch(readers))
        try:
            await readers.add()
            trial._tasks = {
                "writer": asyncio.create_task(trial.writer.run()),
                "watch": asyncio.create_task(trial.watch.run()),
            }
            await eventually(
                lambda: trial.healthy() and len(trial.watch.committed) == PARTITIONS, within_s=60
            )
            yield trial
        finally:
            for task in trial._tasks.values():
                task.cancel()
            await asyncio.gather(*trial._tasks.values(), return_exceptions=True)
            await readers.stop()
            await bus.stop()

    async def leader(self, partition: int = 0) -> int:
        """Return the node that leads a partition."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.cluster.bootstrap)
        await admin.start()
        try:
            (topic,) = await admin.describe_topics([self.name])
            return next(
                int(described["leader"])
                for described in topic["partitions"]
                if described["partition"] == partition
            )
        finally:
            await admin.close()

    def healthy(self) -> bool:
        """Return True; raise what ended the writer or the watch on its own."""
        for task in self._tasks.values():
            if task.done() and not task.cancelled():
                task.result()
        return True

    async def recovered(self, what: str, since_s: float, within_s: float = 120) -> None:
        """Wait until numbers written from now on are acknowledged and handled, and note how long both took."""
        written = max((number for _, number in self.writer.acknowledged), default=-1)
        waiting = self.writer.written

        def is_written() -> bool:
            self.healthy()
            return any(
                number > written and at_s > since_s for (_, number), at_s in self.writer.acknowledged.items()
            )

        await eventually(is_written, within_s=within_s)
        self.figures[f"{what}_write_s"] = round(time.monotonic() - since_s, 1)
        log_handled = sum(self.readers.handled.values())

        def is_read() -> bool:
            self.healthy()
            return sum(self.readers.handled.values()) > log_handled and len(self.readers.handled) >= waiting

        await eventually(is_read, within_s=within_s)
        self.figures[f"{what}_read_s"] = round(time.monotonic() - since_s, 1)

    async def judge(self) -> None:
        """Stop writing, let everything be read, and hold the log against what was promised."""
        self.writer.stop()
        await self._tasks["writer"]
        assert len(self.writer.acknowledged) == self.writer.written
        # A leader that was frozen shows an old end of the log until it hears that it leads no more.
        log = await eventually(self._whole_log, within_s=60, every_s=1)
        for key, numbers in first_places(log).items():
            assert numbers == sorted(numbers), f"{key} out of order"
        await all_handled(self.readers, log, within_s=120)
        ends = {partition: records[-1][0] + 1 for partition, records in log.items()}
        await eventually(lambda: self.healthy() and self.watch.committed == ends, within_s=60)
        copies = Counter((key, number) for records in log.values() for _, key, number in records)
        self.figures |= {
            "written": self.writer.written,
            "in_log_twice": sum(count - 1 for count in copies.values()),
            "handled_again": sum(self.readers.handled.values()) - len(self.readers.handled),
            "commit_checks": self.watch.looks,
            "total_s": round(time.monotonic() - self.began_s, 1),
        }
        self._keep()

    async def _whole_log(self) -> dict[int, list[tuple[int, str, int]]]:
        """Read the log; raises AssertionError when something acknowledged is not in it."""
        log = await log_of(self.cluster.bootstrap, self.name)
        present = {(key, number) for key, numbers in first_places(log).items() for number in numbers}
        lost = (self.writer.acknowledged.keys() | self.writer.bus_acknowledged) - present
        assert not lost, f"acknowledged, lost: {len(lost)}"
        return log

    def _keep(self) -> None:
        FIGURES.mkdir(parents=True, exist_ok=True)
        told = {"fault": self.name, "send_failures": dict(self.writer.failures), **self.figures}
        (FIGURES / f"kafka-{self.name}.json").write_text(json.dumps(told, indent=1) + "\n")

"""The simulated broker, in the place of FastStream's: logs, groups that rebalance, acknowledgements that get lost."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from aiokafka import TopicPartition
from aiokafka.errors import CommitFailedError, KafkaTimeoutError

from tests.simulation.script import Kind
from tests.simulation.world import Process, SimulatedWorld

BATCH_MAX = 8


@dataclass(frozen=True, slots=True)
class Record:
    """A record as aiokafka hands it over."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    headers: tuple[tuple[str, bytes], ...]


class Cluster:
    """Cluster that outlives every process: the logs, the committed offsets, the groups."""

    def __init__(self, world: SimulatedWorld, appended: Callable[[Record], None]) -> None:
        self.world = world
        self.logs: dict[TopicPartition, list[Record]] = defaultdict(list)
        self.committed: dict[tuple[str, TopicPartition], int] = {}
        self.groups: dict[str, list[Consumer]] = defaultdict(list)
        self._appended = appended

    def append(self, topic: str, partition: int, key: bytes, body: bytes, headers: dict[str, str]) -> None:
        lane = TopicPartition(topic, partition)
        log = self.logs[lane]
        pairs = tuple((name, value.encode()) for name, value in headers.items())
        record = Record(topic, partition, len(log), key, body, pairs)
        log.append(record)
        if self.world.traced:
            self.world.note(f"{topic}/{partition}@{record.offset} {headers.get('type')} {key.decode()[:13]}")
        self._appended(record)
        for members in self.groups.values():
            for member in members:
                if lane in member.positions:
                    member.wake.set()

    def join(self, consumer: Consumer) -> None:
        self.groups[consumer.group].append(consumer)
        self.rebalance(consumer.group)

    def leave(self, consumer: Consumer) -> None:
        members = self.groups[consumer.group]
        if consumer in members:
            members.remove(consumer)
            self.rebalance(consumer.group)

    def expel(self, process: Process) -> None:
        """Take a process's partitions away without telling it: its session ran out while it stood still."""
        for members in self.groups.values():
            for member in [candidate for candidate in members if candidate.process is process]:
                members.remove(member)
                self.rebalance(member.group)
                process.world.loop.call_later(
                    max(0.0, process.stalled_until_s - process.world.loop.time()) + 0.3, self._rejoin, member
                )

    def _rejoin(self, member: Consumer) -> None:
        if not member.process.dead:
            self.join(member)

    def rebalance(self, group: str) -> None:
        """Deal the partitions out anew, as the eager protocol does: everyone gives all up first."""
        members = self.groups[group]
        if not members:
            return
        self.world.note(f"rebalance {group}")
        lanes = [
            TopicPartition(topic, index)
            for topic in members[0].topics
            for index in range(self.world.script.shards)
        ]
        turn = self.world.dice.randrange(len(members))
        shares: dict[int, list[TopicPartition]] = defaultdict(list)
        for lane in lanes:
            shares[(lane.partition + turn) % len(members)].append(lane)
        for place, member in enumerate(members):
            member.assign(shares[place])


class Consumer:
    """One member of a group; hands batches to the subscriber of its bus, one at a time."""

    def __init__(
        self, process: Process, cluster: Cluster, topics: Sequence[str], group: str, listener: Any
    ) -> None:
        self.process = process
        self.cluster = cluster
        self.topics = topics
        self.group = group
        self.listener = listener
        self.generation = 0
        self.positions: dict[TopicPartition, int] = {}
        self.wake = asyncio.Event()

    # What the bus sees of a consumer.

    def assignment(self) -> set[TopicPartition]:
        return set(self.positions)

    def seek(self, lane: TopicPartition, offset: int) -> None:
        self.positions[lane] = offset
        self.wake.set()

    def highwater(self, lane: TopicPartition) -> int | None:
        return len(self.cluster.logs[lane])

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        generation = self.generation

        def effect() -> None:
            if generation != self.generation or not set(offsets) <= set(self.positions):
                raise CommitFailedError
            for lane, offset in offsets.items():
                self.cluster.committed[self.group, lane] = offset

        await self.process.call("commit", effect, KafkaTimeoutError)

    # What the group does with it.

    def assign(self, lanes: Sequence[TopicPartition]) -> None:
        """Take an assignment; the callbacks run beside the fetching, so records may come before them."""
        self.process.run(self._assign(list(lanes)))

    async def _assign(self, lanes: list[TopicPartition]) -> None:
        before = list(self.positions)
        self.generation += 1
        generation = self.generation
        await self.process.pause(0.01, 0)
        if generation != self.generation:
            return
        await self.listener.on_partitions_revoked(before)
        self.positions = {lane: self.cluster.committed.get((self.group, lane), 0) for lane in lanes}
        self.wake.set()
        await self.process.pause(0.002, 0)
        await self.listener.on_partitions_assigned(lanes)

    async def run(self, handler: Callable[[Any], Any]) -> None:
        """Fetch and hand over until cancelled."""
        while True:
            batch = self._take()
            if not batch:
                self.wake.clear()
                await self.wake.wait()
                continue
            kind, seconds = self.process.world.struck(self.process.service, "fetch")
            await self.process.pause(0.003, seconds)
            if kind is Kind.rewind:
                self._rewind()
            self.process.world.note(
                f"{self.process.name} reads "
                + ", ".join(f"{record.topic}/{record.partition}@{record.offset}" for record in batch)
                if self.process.world.traced
                else ""
            )
            await handler(SimpleNamespace(raw_message=tuple(batch), consumer=self))
            if kind is Kind.crash_after:
                self.process.kill()
                await asyncio.sleep(0)

    def _take(self) -> list[Record]:
        batch: list[Record] = []
        dice = self.process.dice
        for lane, position in self.positions.items():
            log = self.cluster.logs[lane]
            if position < len(log):
                count = dice.randrange(1, BATCH_MAX)
                batch += log[position : position + count]
                self.positions[lane] = min(len(log), position + count)
        return batch

    def _rewind(self) -> None:
        """Read some records again, as after a lost commit."""
        for lane, position in self.positions.items():
            self.positions[lane] = max(0, position - self.process.dice.randrange(6))


class SimulatedBroker:
    """Stands where ``winnow.adapters.bus`` makes its KafkaBroker, as far as the bus uses one."""

    def __init__(self, process: Process, cluster: Cluster) -> None:
        self._process = process
        self._cluster = cluster
        self._free_at_s: dict[tuple[str, int], float] = {}
        self._waiting: dict[tuple[str, int], int] = defaultdict(int)
        self._broken: set[tuple[str, int]] = set()
        self._options: dict[str, Any] = {}
        self._topics: tuple[str, ...] = ()
        self._handler: Callable[[Any], Any] | None = None

    def subscriber(self, *topics: str, **options: Any) -> Callable[[Callable[[Any], Any]], None]:
        self._topics, self._options = topics, options

        def keep(handler: Callable[[Any], Any]) -> None:
            self._handler = handler

        return keep

    async def start(self) -> None:
        if self._handler is None:
            return
        consumer = Consumer(
            self._process, self._cluster, self._topics, self._options["group_id"], self._options["listener"]
        )
        self._process.on_death.append(lambda: self._cluster.leave(consumer))
        self._cluster.join(consumer)
        self._process.run(consumer.run(self._handler), vital=True)

    async def publish(
        self,
        body: bytes,
        *,
        topic: str,
        key: bytes,
        partition: int,
        headers: dict[str, str],
        no_confirm: bool = False,
    ) -> Any:
        """Append after a moment, in order within the partition; a lost or failed send is a timeout."""
        process, loop = self._process, self._process.world.loop
        if process.dead:
            raise asyncio.CancelledError
        kind, seconds = process.world.struck(process.service, "send")
        if kind is Kind.crash_before:
            process.kill()
            await asyncio.sleep(0)
        lane = (topic, partition)
        at_s = (
            max(self._free_at_s.get(lane, 0.0), loop.time())
            + 0.0005
            + 0.003 * process.dice.random()
            + seconds
        )
        self._free_at_s[lane] = at_s
        future: asyncio.Future[object] = loop.create_future()
        self._waiting[lane] += 1
        loop.call_at(at_s, self._arrive, (topic, partition, key, body, headers), kind, future)
        if no_confirm:
            return future
        return await future

    def _arrive(
        self, message: tuple[str, int, bytes, bytes, dict[str, str]], kind: Kind | None, future: Any
    ) -> None:
        process = self._process
        lane = (message[0], message[1])
        self._waiting[lane] -= 1
        if process.dead and (lane in self._broken or process.dice.random() < 0.5):
            self._broken.add(lane)
            return
        if kind is Kind.fail or lane in self._broken:
            # What waits behind a send that failed shares its batch and fails with it: order is kept.
            self._broken.add(lane)
            if not self._waiting[lane]:
                self._broken.discard(lane)
            self._resolve(future, KafkaTimeoutError())
            return
        self._cluster.append(*message)
        if kind is Kind.crash_after:
            process.kill()
        self._resolve(future, KafkaTimeoutError() if kind is Kind.lose_reply else None)

    @staticmethod
    def _resolve(future: Any, error: Exception | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
            future.exception()  # seen: who gathers it raises it, and who died does not

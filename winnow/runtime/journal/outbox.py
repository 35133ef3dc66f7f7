"""Publishes committed blocks in order, and marks them sent, many at a time."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

from winnow.contracts.envelope import CONTENT_TYPE
from winnow.contracts.ids import shard_of
from winnow.runtime import crash_points, metrics
from winnow.runtime.journal.model import Block, Entry
from winnow.runtime.journal.store import JournalStore
from winnow.runtime.log import get_logger

_log = get_logger(__name__)
_BACKOFF_MAX_S: Final = 10.0
_MARK_EVERY_S: Final = 0.5
"""A mark saves the next owner from sending a block again, which is harmless; so marks are few and late."""


class Publisher(Protocol):
    """The bus, as the outbox sees it."""

    async def send(
        self, topic: str, partition: int, key: str, body: bytes, headers: dict[str, str]
    ) -> asyncio.Future[object]:
        """Hand a message over; the future ends when the bus has acknowledged it. Raises when it cannot."""
        ...


class Outbox:
    """Committed blocks on their way to the bus; order is kept per partition."""

    def __init__(self, publisher: Publisher, store: JournalStore, shards: int) -> None:
        """Address partitions by the one shard function, over ``shards`` partitions."""
        self._publisher = publisher
        self._store = store
        self._shards = shards
        self._waiting: list[tuple[Block, asyncio.Future[None]]] = []
        self._wake = asyncio.Event()
        self._unmarked: list[str] = []
        self._mark_now = asyncio.Event()

    def put(self, block: Block) -> asyncio.Future[None]:
        """Queue a block; the future ends when it is on the bus."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if any(entry.topic for decision in block.decisions for entry in decision.entries):
            self._waiting.append((block, future))
            metrics.JOURNAL_UNSENT.inc()
            self._wake.set()
        else:
            future.set_result(None)
        return future

    @property
    def is_empty(self) -> bool:
        """Tell whether everything is on the bus."""
        return not self._waiting

    async def run(self) -> None:
        """Publish and mark until cancelled; the bus being away only delays."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._publish_on(), name="outbox-publish")
            tasks.create_task(self._mark_often(), name="outbox-mark")

    def mark_soon(self) -> None:
        """Mark what is on the bus now, because another owner may be about to ask."""
        self._mark_now.set()

    async def mark(self) -> None:
        """Mark what is on the bus; raises what the store raises, and then it is marked later."""
        marking, self._unmarked = self._unmarked, []
        if not marking:
            return
        try:
            await self._store.mark_sent(marking)
        except BaseException:
            self._unmarked = marking + self._unmarked
            raise

    async def _mark_often(self) -> None:
        while True:
            try:
                async with asyncio.timeout(_MARK_EVERY_S):
                    await self._mark_now.wait()
            except TimeoutError:
                pass
            self._mark_now.clear()
            try:
                await self.mark()
            except Exception as error:  # noqa: BLE001 (an unmarked block is sent again after a crash, no more)
                _log.warning("journal.mark.retried", error=type(error).__name__)

    async def _publish_on(self) -> None:
        wait_s = 0.1
        while True:
            await self._wake.wait()
            self._wake.clear()
            while batch := list(self._waiting):
                try:
                    await self._publish([block for block, _ in batch])
                except Exception as error:  # noqa: BLE001 (whatever the bus raises, the blocks stay and are sent again)
                    _log.warning("journal.publish.retried", error=type(error).__name__, wait_s=wait_s)
                    await asyncio.sleep(wait_s)
                    wait_s = min(wait_s * 2, _BACKOFF_MAX_S)
                    continue
                wait_s = 0.1
                del self._waiting[: len(batch)]
                metrics.JOURNAL_UNSENT.dec(len(batch))
                for _, future in batch:
                    if not future.done():
                        future.set_result(None)

    async def _publish(self, blocks: list[Block]) -> None:
        acknowledged = [
            await self._send(entry)
            for block in blocks
            for decision in block.decisions
            for entry in decision.entries
            if entry.topic
        ]
        await asyncio.gather(*acknowledged)
        crash_points.reach("after_publish")
        self._unmarked += [block.block_id for block in blocks]

    async def _send(self, entry: Entry) -> asyncio.Future[object]:
        topic = entry.topic or ""
        headers = {"content-type": CONTENT_TYPE, "type": entry.type}
        return await self._publisher.send(
            topic, shard_of(entry.key, self._shards), entry.key, entry.body.encode(), headers
        )

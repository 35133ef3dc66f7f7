"""Publishes committed blocks in order, and knows how far each shard is on the bus."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from winnow.adapters.partitions import Publisher
from winnow.contracts.ids import shard_of
from winnow.contracts.upcast import headers_of
from winnow.eventstore.model import Block, Entry
from winnow.runtime import failpoints, metrics
from winnow.runtime.backoff import Backoff
from winnow.runtime.log import get_logger

_log = get_logger(__name__)
_BACKOFF_FIRST_S: Final = 0.2
_BACKOFF_MAX_S: Final = 10.0


class Outbox:
    """Committed blocks on their way to the bus; order is kept per partition."""

    def __init__(self, publisher: Publisher, shards: int) -> None:
        """Address partitions by the one shard function, over ``shards`` partitions."""
        self._publisher = publisher
        self._shards = shards
        self._waiting: list[tuple[Block, asyncio.Future[None]]] = []
        self._wake = asyncio.Event()
        self._sent_to: dict[str, int] = {}
        self._unmarked: set[str] = set()

    def put(self, block: Block) -> asyncio.Future[None]:
        """Queue a block; the future ends when it is on the bus."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if block.has_messages:
            self._waiting.append((block, future))
            metrics.JOURNAL_UNSENT.inc()
            self._wake.set()
        else:
            future.set_result(None)
        return future

    @property
    def is_empty(self) -> bool:
        """Return whether everything is on the bus."""
        return not self._waiting

    def begin(self, shard: str, sent_to: int) -> None:
        """Take up a shard whose blocks are on the bus up to this one."""
        self._sent_to[shard] = max(sent_to, self.sent_to(shard))

    def sent_to(self, shard: str) -> int:
        """Return the newest block of a shard that is on the bus with all before it; 0 for none."""
        return self._sent_to.get(shard, 0)

    def take_marks(self) -> dict[str, int]:
        """Return how far the shards are sent for which that is not noted yet."""
        marks = {shard: self._sent_to[shard] for shard in self._unmarked}
        self._unmarked = set()
        return marks

    def put_back(self, marks: Mapping[str, int]) -> None:
        """Take marks back that could not be noted."""
        self._unmarked |= set(marks)

    async def run(self) -> None:
        """Publish until cancelled; the bus being away only delays."""
        backoff: Backoff | None = None
        while True:
            await self._wake.wait()
            self._wake.clear()
            while batch := list(self._waiting):
                try:
                    await self._publish([block for block, _ in batch])
                except Exception as error:  # noqa: BLE001 (whatever the bus raises, the blocks stay and are sent again)
                    # The replicas of a service send different shards, so that their waits differ.
                    backoff = backoff or Backoff(batch[0][0].block_id, _BACKOFF_FIRST_S, _BACKOFF_MAX_S)
                    wait_s = backoff.next_s()
                    _log.warning("journal.publish.retried", error=type(error).__name__, wait_s=wait_s)
                    await asyncio.sleep(wait_s)
                    continue
                backoff = None
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
        failpoints.reach("after_publish")
        for block in blocks:
            # A shard's blocks are queued in their order, so one stands for all before it.
            self.begin(block.shard, block.block_no)
            self._unmarked.add(block.shard)

    async def _send(self, entry: Entry) -> asyncio.Future[object]:
        place = (entry.topic or "", shard_of(entry.key, self._shards))
        headers = headers_of(entry.type, entry.body)
        return await self._publisher.send(*place, entry.key, entry.body.encode(), headers)

"""Sends messages; when a producer has lost count of a partition, another takes its place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from faststream.kafka import KafkaBroker

from winnow.adapters.kafka_errors import has_lost_count
from winnow.runtime import metrics
from winnow.runtime.log import get_logger

_log = get_logger(__name__)


class Sender:
    """The producer of a process. A failed send is unknown; the caller repeats it and all that followed it."""

    def __init__(self, first: KafkaBroker, fresh: Callable[[], KafkaBroker]) -> None:
        """Send by ``first``, which somebody else starts and stops; ``fresh`` gives one to replace it."""
        self._brokers = [first]
        self._fresh = fresh
        self._lost_count = False
        self._renewing = asyncio.Lock()

    async def send(
        self, topic: str, partition: int, key: bytes | None, body: bytes, headers: dict[str, str]
    ) -> asyncio.Future[object]:
        """Hand a message over; the future ends when every replica in sync has it."""
        if self._lost_count:
            await self._renew()
        broker = self._brokers[-1]
        future: Any = await broker.publish(
            body, topic=topic, key=key, partition=partition, headers=headers, no_confirm=True
        )

        def count(done: asyncio.Future[object]) -> None:
            error = None if done.cancelled() else done.exception()
            failed = done.cancelled() or error is not None
            (metrics.BUS_SEND_FAILURES if failed else metrics.BUS_SENT).labels(topic).inc()
            if has_lost_count(error) and broker is self._brokers[-1]:
                self._lost_count = True

        future.add_done_callback(count)
        return future  # type: ignore[no-any-return]

    async def stop(self) -> None:
        """Stop those that were started here."""
        for broker in self._brokers[1:]:
            await broker.stop()

    async def _renew(self) -> None:
        async with self._renewing:
            if not self._lost_count:
                return
            broker = self._fresh()
            await broker.start()
            # The one before may still be writing to other partitions; it ends with the process.
            self._brokers.append(broker)
            self._lost_count = False
            _log.warning("bus.producer.renewed", producers=len(self._brokers))

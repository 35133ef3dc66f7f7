"""Records that ingest reads from the bus: the record of tasks, for its funding workflow and its read model, and the books."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final

from services.ingest.app.projection import Projection
from winnow.adapters.bus import Bus
from winnow.adapters.partitions import Consumed, Source
from winnow.adapters.records import ConsumedRecord
from winnow.contracts.envelope import Message, RecordedMessage
from winnow.contracts.events import EntryRecorded, RefundRefused, TaskEvent
from winnow.contracts.topics import ACCOUNTS, MESSAGES, REGISTRY, TASKS, group_of
from winnow.eventstore import Input, Journal
from winnow.eventstore.consumer import JournalConsumer, Table, input_about


def about_task(recorded: RecordedMessage[Any], fingerprint: str) -> Input:
    """Return the input that an event is for its task."""
    return input_about(recorded.message.task_id, recorded, fingerprint)


TABLE: Final[Table] = {
    "task.accepted": about_task,
    "task.funded": about_task,
    "task.unfunded": about_task,
    "task.cancel_requested": about_task,
}
"""The events that the funding workflow act on."""

KEPT: Final = tuple(name for name, model in MESSAGES.items() if issubclass(model, (TaskEvent, RefundRefused)))
"""The events that the read model keeps."""
READS: Final = (*KEPT, EntryRecorded.type_name())
"""Those, and the entries that somebody may wait for."""


class IngestConsumer:
    """Feeds the funding journal, then the read model; an offset is committed when both have it."""

    def __init__(self, journal: Journal[Any], projection: Projection) -> None:
        """Feed these two."""
        self._consumer = JournalConsumer(journal, TABLE)
        self._projection = projection

    def subscribe(self, bus: Bus) -> None:
        """Attach to the bus."""
        messages = REGISTRY.subset(READS)
        topics = [TASKS.name, ACCOUNTS.name]
        bus.subscribe(
            topics, group_of("ingest"), messages, self.handle, assigned=self.assigned, revoked=self.revoked
        )

    def assigned(self, sources: Iterable[Source]) -> None:
        """Take over the partitions of the record."""
        tasks = _of_tasks(sources)
        self._forget(tasks)
        self._consumer.assigned(tasks)

    def revoked(self, sources: Iterable[Source]) -> None:
        """Release partitions of the record."""
        tasks = _of_tasks(sources)
        self._forget(tasks)
        self._consumer.revoked(tasks)

    async def handle(self, source: Source, received: Sequence[ConsumedRecord]) -> Consumed:
        """Handle one partition's records in order."""
        if source.topic == ACCOUNTS.name:
            await self._projection.keep_refusals(_records(received, RefundRefused))
            self._projection.announce_entries(_records(received, EntryRecorded))
            return Consumed(received[-1].offset + 1)
        with self._projection.expected():
            return await self._handle_tasks(source, received)

    async def _handle_tasks(self, source: Source, received: Sequence[ConsumedRecord]) -> Consumed:
        consumed = await self._consumer.handle(source, [_for_funding(record) for record in received])
        if consumed.seek or consumed.held_for_s:
            # The journal stands before this batch, or waits for a newer build, so the records between are read first: a view that
            # folded this batch now would take them for repeats.
            return consumed
        known = [record for record in received if record.offset < consumed.next_offset]
        fault = await self._projection.fold_tasks(source.partition, _records(known, TaskEvent))
        return consumed if fault is None else Consumed(fault.offset, failed=fault.error)

    def _forget(self, sources: Sequence[Source]) -> None:
        for source in sources:
            self._projection.forget(source.partition)


def _of_tasks(sources: Iterable[Source]) -> list[Source]:
    return [source for source in sources if source.topic == TASKS.name]


def _for_funding(received: ConsumedRecord) -> ConsumedRecord:
    recorded = received.recorded
    acted_on = recorded is not None and recorded.message.type in TABLE
    return received if acted_on else replace(received, recorded=None)


def _records(
    received: Sequence[ConsumedRecord], model: type[Message]
) -> list[tuple[int, RecordedMessage[Any]]]:
    return [
        (record.offset, record.recorded)
        for record in received
        if record.recorded is not None and isinstance(record.recorded.message, model)
    ]

"""Joins bus and journal: a table from wire type to input, and shards that follow the partitions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from winnow.adapters.bus import Bus
from winnow.adapters.partitions import Consumed, Source
from winnow.adapters.records import ConsumedRecord
from winnow.contracts.envelope import Message, RecordedMessage
from winnow.contracts.topics import REGISTRY
from winnow.eventstore import Input, Journal
from winnow.eventstore.model import content_fingerprint

ToInput = Callable[[RecordedMessage[Any], str], Input | None]
"""Turns a record into the input of a decision, or None to pass it over; the second argument is its fingerprint."""

Table = Mapping[str, ToInput]


def input_about(aggregate_id: str, recorded: RecordedMessage[Message], fingerprint: str) -> Input:
    """Return the input that a record is for an aggregate: an event by its event id, a command by its command id."""
    message, envelope = recorded.message, recorded.envelope
    input_id = str(getattr(message, "command_id", envelope.event_id))
    return Input(aggregate_id, input_id, message, envelope.correlation_id, fingerprint, envelope.traceparent)


class WrongPartition(Exception):  # noqa: N818 (the noun of the problem)
    """A record lies in another partition than its aggregate's: deciding it here would give the aggregate two owners."""


class JournalConsumer:
    """Feeds a journal from the partitions of one topic; partition n is shard n."""

    def __init__(self, journal: Journal[Any], table: Table) -> None:
        """Use a table of the types this service acts on."""
        self._journal = journal
        self._table = table

    def subscribe(self, bus: Bus, topic: str, group: str) -> None:
        """Attach to the bus."""
        messages = REGISTRY.subset(self._table)
        bus.subscribe([topic], group, messages, self.handle, assigned=self.assigned, revoked=self.revoked)

    def assigned(self, sources: Iterable[Source]) -> None:
        """Take over the shards of new partitions."""
        self._journal.assign(str(source.partition) for source in sources)

    def revoked(self, sources: Iterable[Source]) -> None:
        """Release the shards of lost partitions."""
        self._journal.revoke(str(source.partition) for source in sources)

    async def handle(self, source: Source, received: Sequence[ConsumedRecord]) -> Consumed:
        """Decide a partition's records, up to the first that lies in the wrong partition."""
        shard, inputs, misplaced = str(source.partition), list[tuple[int, Input | None]](), None
        for record in received:
            input_ = self._input(record)
            if input_ is not None and self._journal.shard_of(input_.aggregate_id) != shard:
                misplaced = Consumed(record.offset, failed=WrongPartition())
                break
            inputs.append((record.offset, input_))
        if misplaced is not None and not inputs:
            return misplaced
        consumed = await self._journal.consume(shard, source, inputs)
        if misplaced is None or consumed.seek or consumed.held_for_s or consumed.failed is not None:
            return consumed
        return misplaced

    def _input(self, received: ConsumedRecord) -> Input | None:
        recorded = received.recorded
        if recorded is None:
            return None
        return self._table[recorded.message.type](recorded, content_fingerprint(received.body))

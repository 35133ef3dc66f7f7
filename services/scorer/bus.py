"""Commands in, verdicts out: each chunk is scored and its event published before its offset is committed."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from prometheus_client import Counter, Histogram

from services.scorer.app import Scorer
from winnow.adapters.bus import Bus
from winnow.adapters.partitions import Consumed, Publisher, Source
from winnow.adapters.records import ConsumedRecord
from winnow.contracts.commands import ScoreCandidates
from winnow.contracts.envelope import Envelope, RecordedMessage
from winnow.contracts.errors import Unavailable
from winnow.contracts.events import CandidatesScored
from winnow.contracts.ids import Prefix, derive_id, shard_of
from winnow.contracts.topics import REGISTRY, SCORER_COMMAND_TOPIC, TASKS, group_of
from winnow.contracts.upcast import headers_of
from winnow.runtime.clock import Clock
from winnow.runtime.log import get_logger
from winnow.runtime.tracing import child_of

_log = get_logger(__name__)
PRODUCER: Final = "scorer"
READS: Final = (ScoreCandidates.type_name(),)
"""The commands that the scorer takes."""

CANDIDATES_SCORED = Counter(
    "winnow_scorer_candidates_total", "Candidates with a verdict.", ["profile", "verdict"]
)
DIMENSIONS_FAILED = Counter(
    "winnow_scorer_dimension_failures_total",
    "Required dimensions that did not pass.",
    ["dimension", "status"],
)
CHUNK_SECONDS = Histogram(
    "winnow_scorer_chunk_seconds",
    "Time from command to acknowledged verdict.",
    buckets=(0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30),
)


class ScoreConsumer:
    """Handles the records of a partition. Chunks of a batch are scored side by side, bounded by the pool."""

    def __init__(self, scorer: Scorer, publisher: Publisher, *, clock: Clock, shards: int) -> None:
        """Address the partitions of the tasks topic by the one shard function, over ``shards``."""
        self._scorer = scorer
        self._publisher = publisher
        self._clock = clock
        self._shards = shards
        self._table: Mapping[str, Callable[[RecordedMessage[Any]], Any]] = {
            ScoreCandidates.type_name(): self._score_candidates
        }

    def subscribe(self, bus: Bus) -> None:
        """Attach to the bus."""
        messages = REGISTRY.subset(READS)
        bus.subscribe([SCORER_COMMAND_TOPIC.name], group_of("scorer"), messages, self.handle)

    async def handle(self, _: Source, received: Sequence[ConsumedRecord]) -> Consumed:
        """Score a batch in any order; return the offset before the first record that failed."""
        results = await asyncio.gather(*(self._one(record) for record in received), return_exceptions=True)
        for record, result in zip(received, results, strict=True):
            if isinstance(result, BaseException) and isinstance(_first_error(result), Unavailable):
                # Something outside is missing: wait and read again, without counting it against the record.
                _log.warning("scorer.chunk.postponed", error=type(result).__name__)
                return Consumed(record.offset, seek=True)
            if isinstance(result, asyncio.CancelledError):
                raise result
            if isinstance(result, BaseException):
                return Consumed(record.offset, failed=_first_error(result))
        return Consumed(received[-1].offset + 1)

    async def _one(self, received: ConsumedRecord) -> None:
        if received.recorded is not None:
            await self._table[received.recorded.message.type](received.recorded)

    async def _score_candidates(self, recorded: RecordedMessage[ScoreCandidates]) -> None:
        with CHUNK_SECONDS.time():
            try:
                event = await self._scorer.score_chunk(recorded.message)
            except* Unavailable as group:
                raise Unavailable("the object store does not answer") from group
            await self._publish(recorded, event)
        _count(event)

    async def _publish(self, command: RecordedMessage[ScoreCandidates], event: CandidatesScored) -> None:
        event_id = derive_id(
            Prefix.event,
            PRODUCER,
            command.message.command_id,
            event.profile_sha256,
            event.scorer_version,
            hashlib.sha256(json.dumps(event.models, sort_keys=True).encode()).hexdigest(),
        )
        envelope = Envelope(
            event_id=event_id,
            occurred_at=self._clock.now(),
            producer=PRODUCER,
            subject=event.task_id,
            # A producer without state keeps no count of a task's events; the router numbers what it decides on.
            sequence=0,
            correlation_id=command.envelope.correlation_id,
            causation_id=command.message.command_id,
            traceparent=child_of(command.envelope.traceparent, event_id),
        )
        text = RecordedMessage(envelope, event).text()
        partition = shard_of(event.task_id, self._shards)
        headers = headers_of(event.type, text)
        await (await self._publisher.send(TASKS.name, partition, event.task_id, text.encode(), headers))


def _first_error(error: BaseException) -> BaseException:
    """Return the first cause inside groups, so that the log names the fault."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _count(event: CandidatesScored) -> None:
    for candidate in event.candidates:
        verdict = "passed" if candidate.passed else "failed"
        CANDIDATES_SCORED.labels(event.profile.name, verdict).inc()
        for dimension in candidate.dimensions:
            if dimension.required and not dimension.passed:
                DIMENSIONS_FAILED.labels(dimension.name, dimension.status.value).inc()

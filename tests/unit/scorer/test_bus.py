"""Commands become published events before their offset counts as done."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime

import pytest

from services.scorer.bus import ScoreConsumer
from tests.support.clock import SetClock
from tests.unit.scorer.fakes import NOW, MemoryObjects, command, scorer_on, stored
from tests.unit.scorer.photographs import png, portrait
from winnow.adapters.partitions import Source
from winnow.adapters.records import ConsumedRecord
from winnow.contracts.commands import ScoreCandidates
from winnow.contracts.envelope import Envelope, Message, RecordedMessage
from winnow.contracts.errors import ErrorCode, Refused
from winnow.contracts.events import CandidatesScored
from winnow.contracts.ids import Prefix, derive_id, shard_of
from winnow.contracts.topics import SCORER_COMMAND_TOPIC, TASKS

SOURCE = Source(SCORER_COMMAND_TOPIC.name, 3)
GOOD = png(portrait())
TRACEPARENT = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"


class MemoryPublisher:
    """Keeps what was sent; ``failure`` makes the acknowledgement fail."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, int, str, bytes, dict[str, str]]] = []
        self.failure: Exception | None = None

    async def send(
        self, topic: str, partition: int, key: str, body: bytes, headers: dict[str, str]
    ) -> asyncio.Future[object]:
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        if self.failure is not None:
            future.set_exception(self.failure)
        else:
            self.sent.append((topic, partition, key, body, headers))
            future.set_result(None)
        return future


def received(offset: int, asked: ScoreCandidates | None) -> ConsumedRecord:
    if asked is None:
        return ConsumedRecord(offset, None, b"")
    envelope = Envelope(
        event_id=derive_id(Prefix.event, "router", asked.command_id),
        occurred_at=NOW,
        producer="router",
        subject=asked.task_id,
        sequence=0,
        correlation_id="request",
        causation_id="cause",
        traceparent=TRACEPARENT,
    )
    recorded: RecordedMessage[Message] = RecordedMessage(envelope, asked)
    return ConsumedRecord(offset, recorded, recorded.encode())


def lane(objects: MemoryObjects, publisher: MemoryPublisher, at: datetime = NOW) -> ScoreConsumer:
    return ScoreConsumer(scorer_on(objects), publisher, clock=SetClock(at), shards=16)


async def test_handle_publishes_the_verdict_to_the_task_s_partition_then_moves_on() -> None:
    objects, publisher = MemoryObjects(), MemoryPublisher()
    asked = command(stored(objects, "good", GOOD))
    consumed = await lane(objects, publisher).handle(SOURCE, [received(7, asked), received(8, None)])
    assert (consumed.next_offset, consumed.seek, consumed.failed) == (9, False, None)
    [(topic, partition, key, body, headers)] = publisher.sent
    assert (topic, partition, key) == (TASKS.name, shard_of(asked.task_id, 16), asked.task_id)
    assert headers["type"] == "candidates.scored"
    event = RecordedMessage.from_document(json.loads(body), CandidatesScored)
    assert event.envelope.causation_id == asked.command_id
    assert event.envelope.correlation_id == "request"
    assert (event.envelope.traceparent or "").split("-")[1] == "a" * 32
    assert event.message.candidates[0].passed


async def test_redelivered_command_gives_the_same_event_id_at_another_time() -> None:
    objects, publisher = MemoryObjects(), MemoryPublisher()
    asked = command(stored(objects, "good", GOOD))
    await lane(objects, publisher).handle(SOURCE, [received(1, asked)])
    await lane(objects, publisher, datetime(2027, 1, 1, tzinfo=UTC)).handle(SOURCE, [received(1, asked)])
    first, second = (json.loads(published[3]) for published in publisher.sent)
    assert first["event_id"] == second["event_id"]
    assert first["candidates"] == second["candidates"]


@pytest.mark.parametrize(
    "change",
    [
        {"models": {"faces": "another"}},
        {"models": {}},
        {"profile_sha256": "b" * 64},
        {"scorer_version": "another"},
    ],
    ids=["another model", "no model", "another profile", "another scorer"],
)
async def test_another_model_set_profile_or_scorer_gives_another_event_id(change: dict[str, object]) -> None:
    """A verdict is a function of bytes, profile and model set; the first of each is the one that counts."""
    objects = MemoryObjects()
    order = command(stored(objects, "good", GOOD))
    envelope = received(1, order).recorded
    assert envelope is not None
    asked = RecordedMessage(envelope.envelope, order)
    event = await scorer_on(objects).score_chunk(order)
    ids = []
    for scored in (event, event, event.model_copy(update=change)):
        publisher = MemoryPublisher()
        await lane(objects, publisher)._publish(asked, scored)
        ids.append(json.loads(publisher.sent[0][3])["event_id"])
    assert ids[0] == ids[1] != ids[2]


async def test_handle_reads_again_when_the_store_is_down_without_counting_a_failure() -> None:
    objects, publisher = MemoryObjects(), MemoryPublisher()
    asked = command(stored(objects, "good", GOOD))
    objects.is_down = True
    consumed = await lane(objects, publisher).handle(SOURCE, [received(4, None), received(5, asked)])
    assert (consumed.next_offset, consumed.seek, consumed.failed) == (5, True, None)
    assert publisher.sent == []


async def test_handle_reports_the_record_that_can_never_be_scored() -> None:
    objects, publisher = MemoryObjects(), MemoryPublisher()
    good = command(stored(objects, "good", GOOD))
    bad = command(stored(objects, "good", GOOD), version=99)
    consumed = await lane(objects, publisher).handle(SOURCE, [received(5, good), received(6, bad)])
    assert consumed.next_offset == 6
    assert isinstance(consumed.failed, Refused)
    assert consumed.failed.code is ErrorCode.unknown_profile


async def test_handle_does_not_move_on_when_the_event_was_not_acknowledged() -> None:
    objects, publisher = MemoryObjects(), MemoryPublisher()
    publisher.failure = ConnectionError("gone")
    asked = command(stored(objects, "good", GOOD))
    consumed = await lane(objects, publisher).handle(SOURCE, [received(5, asked)])
    assert consumed.next_offset == 5
    assert consumed.failed is not None


@pytest.mark.parametrize("offset", [0, 41])
async def test_handle_passes_over_what_it_has_no_use_for(offset: int) -> None:
    consumed = await lane(MemoryObjects(), MemoryPublisher()).handle(SOURCE, [received(offset, None)])
    assert consumed.next_offset == offset + 1

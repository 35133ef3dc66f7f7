"""The read model depends on the records alone, not on the batches they came in."""

from __future__ import annotations

from datetime import UTC, datetime

from services.ingest.app.notifier import Notifier
from services.ingest.app.projection import Projection
from tests.unit.ingest.events import Tale
from tests.unit.ingest.memory_stores import MemoryViews
from winnow.contracts.envelope import Envelope, RecordedMessage
from winnow.contracts.events import TaskEvent
from winnow.contracts.ids import Prefix, derive_id


def records(tale: Tale) -> list[tuple[int, RecordedMessage[TaskEvent]]]:
    sequences: dict[str, int] = {}
    found = []
    for offset, (producer, event) in enumerate(tale.whole()):
        sequences[producer] = sequences.get(producer, 0) + 1
        envelope = Envelope(
            event_id=derive_id(Prefix.event, producer, offset),
            occurred_at=datetime(2026, 1, 1, tzinfo=UTC),
            producer=producer,
            subject=tale.ids["task_id"],
            sequence=0 if producer == "scorer" else sequences[producer],
            correlation_id="c",
            causation_id="c",
        )
        found.append((offset, RecordedMessage(envelope, event)))
    return found


async def kept(batch_size: int) -> MemoryViews:
    views = MemoryViews()
    projection = Projection(views, Notifier())
    told = records(Tale(derive_id(Prefix.task, "t")))
    for start in range(0, len(told), batch_size):
        assert await projection.fold_tasks(0, told[start : start + batch_size]) is None
    return views


async def test_batches_of_any_size_keep_the_same():
    one_by_one = await kept(1)
    (row,) = one_by_one.tasks_kept.values()
    assert len(row.candidates) == 2
    for size in (2, 3, 100):
        assert await kept(size) == one_by_one, size

"""Makes ingest's stores again: requests and funding from its journals, the read model from the topics.

API keys, inputs and leases lie in no journal: they are left as they are.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any

from services.ingest.app.notifier import Notifier
from services.ingest.app.projection import Projection
from services.ingest.bus import KEPT
from services.ingest.domain.funding_workflow import FUNDING_DECIDER
from services.ingest.domain.requests import REQUEST_DECIDER
from services.ingest.settings import IngestSettings
from services.ingest.store.view_writer import MongoViewWriter
from services.ingest.store.views import CANDIDATE_SEGMENTS, EVENT_SEGMENTS, OLDER, UNREAD, MongoViews
from winnow.audit.newer import Reader
from winnow.audit.rebuild import STATES, RebuildOptions, open_session, run
from winnow.audit.records import TopicRecord
from winnow.contracts.envelope import RecordedMessage
from winnow.contracts.events import RefundRefused
from winnow.contracts.journals import REQUEST_COLLECTIONS
from winnow.contracts.topics import ACCOUNTS, MESSAGES, TASKS
from winnow.contracts.upcast import announced_version

VIEWS = ("tasks", CANDIDATE_SEGMENTS, EVENT_SEGMENTS, "refund_refusals")
_FUNDING = ("state_2", "folds")
_REQUESTS = tuple(f"{REQUEST_COLLECTIONS}{state_class}" for state_class in STATES)
_JOURNALS = ("", REQUEST_COLLECTIONS)
_RECORDS_AT_ONCE = 500


async def rebuild(settings: IngestSettings, options: RebuildOptions) -> dict[str, int]:
    """Rebuild; return what was made. Raises what ``open_session`` raises, and BrokenChain."""
    collections, retired = (*_FUNDING, *_REQUESTS, *VIEWS), ("state", *OLDER, *UNREAD)
    async with open_session(
        "ingest", settings, collections, options, journals=_JOURNALS, retired=retired
    ) as session:
        funding = [len(states) async for states in session.folded(FUNDING_DECIDER)]
        requests = [
            len(states)
            async for states in session.folded(REQUEST_DECIDER, prefix=REQUEST_COLLECTIONS, everywhere=True)
        ]
        await MongoViews(session.database).prepare()
        projection, reader = Projection(MongoViewWriter(session.database), Notifier()), Reader()
        records = await _project(session.records([TASKS.name, ACCOUNTS.name]), projection, reader)
    made = {"stages": sum(funding), "requests": sum(requests), "records in the read model": records}
    return made | ({"records of a newer build skipped": reader.skipped_count} if reader.skipped_count else {})


async def _project(records: AsyncIterator[TopicRecord], projection: Projection, reader: Reader) -> int:
    """Fold the topics; a record that cannot be folded is passed over, as the service dead-letters it."""
    waiting: dict[tuple[str, int], list[TopicRecord]] = {}
    count = 0
    async for kept in records:
        place = (kept.topic, kept.partition)
        waiting.setdefault(place, []).append(kept)
        if len(waiting[place]) >= _RECORDS_AT_ONCE:
            count += await _fold(projection, waiting.pop(place), reader)
    for rest in waiting.values():
        count += await _fold(projection, rest, reader)
    return count


async def _fold(projection: Projection, kept: Sequence[TopicRecord], reader: Reader) -> int:
    records = [
        (record.offset, recorded) for record in kept if (recorded := _recorded(record, reader)) is not None
    ]
    if kept[0].topic == ACCOUNTS.name:
        await projection.keep_refusals(records)
        return len(records)
    rest = records
    while (fault := await projection.fold_tasks(kept[0].partition, rest)) is not None:
        rest = [item for item in rest if item[0] > fault.offset]
    return len(records)


def _recorded(kept: TopicRecord, reader: Reader) -> RecordedMessage[Any] | None:
    """Read an event that the read model keeps; None for any other."""
    name = kept.header("type")
    if name not in KEPT or issubclass(MESSAGES[name], RefundRefused) != (kept.topic == ACCOUNTS.name):
        return None
    try:
        return reader.read(name, kept.body, announced_version(dict(kept.headers)))
    except ValueError:
        return None


if __name__ == "__main__":
    run("ingest", IngestSettings.load, rebuild)

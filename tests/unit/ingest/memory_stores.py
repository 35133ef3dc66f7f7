"""Stores of ingest in memory: keys, account settings, inputs, read models and files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from services.ingest.domain.answers import RefundRefusal, ScreenedInput
from services.ingest.domain.keys import KeyRecord
from services.ingest.domain.task_projection import Page, PublicEvent
from services.ingest.domain.task_row import BatchRows, CandidateSegment, TaskRow
from services.ingest.domain.views import TaskView
from winnow.contracts.errors import NotFound

START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class MemoryKeys:
    """The keys port in memory."""

    records: dict[str, KeyRecord] = field(default_factory=dict)
    looked_up_count: int = 0

    async def find(self, key_id: str) -> KeyRecord | None:
        self.looked_up_count += 1
        return self.records.get(key_id)

    async def add(self, record: KeyRecord) -> None:
        self.records[record.key_id] = record

    async def list(self, account_id: str | None) -> list[KeyRecord]:
        return [record for record in self.records.values() if account_id in {None, record.account_id}]

    async def revoke(self, key_id: str, at: datetime) -> bool:
        record = self.records.get(key_id)
        if record is not None and record.revoked_at is None:
            self.records[key_id] = replace(record, revoked_at=at)
        return record is not None


@dataclass
class MemoryAccountSettings:
    """The settings of accounts in memory."""

    kept: dict[str, int] = field(default_factory=dict)
    asked_count: int = 0

    async def priority_max(self, account_id: str) -> int | None:
        self.asked_count += 1
        return self.kept.get(account_id)

    async def set_priority_max(self, account_id: str, priority_max: int) -> None:
        self.kept[account_id] = priority_max


@dataclass
class MemoryInputs:
    """The inputs port in memory."""

    inputs: dict[str, ScreenedInput] = field(default_factory=dict)

    async def add(self, screened: ScreenedInput) -> None:
        self.inputs.setdefault(screened.input_id, screened)

    async def find(self, account_id: str, input_ids: Sequence[str]) -> dict[str, ScreenedInput]:
        found = {input_id: self.inputs[input_id] for input_id in input_ids if input_id in self.inputs}
        return {key: value for key, value in found.items() if value.account_id == account_id}


@dataclass
class MemoryViews:
    """Both sides of the read model in memory, with the same guard against older writers."""

    tasks_kept: dict[str, TaskRow] = field(default_factory=dict)
    segments: dict[tuple[str, int], CandidateSegment] = field(default_factory=dict)
    full: dict[tuple[str, int], tuple[PublicEvent, ...]] = field(default_factory=dict)
    refusals: dict[str, RefundRefusal] = field(default_factory=dict)

    @property
    def views(self) -> dict[str, TaskView]:
        return {task_id: row.view for task_id, row in self.tasks_kept.items()}

    async def load(self, task_ids: Sequence[str]) -> dict[str, TaskRow]:
        return {id_: self.tasks_kept[id_] for id_ in task_ids if id_ in self.tasks_kept}

    async def save(self, batch: BatchRows) -> set[str]:
        for events in batch.events:
            self.full.setdefault((events[0].task_id, events[0].number), events)
        for segment in batch.segments:
            place = (segment.task_id, segment.first)
            stored = self.segments.get(place)
            if stored is None or stored.offset < segment.offset:
                old = {} if stored is None or segment.is_whole else stored.candidates
                changed = {key: {**old.get(key, {}), **fields} for key, fields in segment.candidates.items()}
                self.segments[place] = replace(segment, candidates={**old, **changed}, is_whole=True)
        newer = set()
        for task_id, row in batch.rows.items():
            kept = self.tasks_kept.get(task_id)
            if kept is not None and kept.view.offset >= row.view.offset:
                newer.add(task_id)
            else:
                self.tasks_kept[task_id] = row
        return newer

    async def save_refusals(self, refusals: Sequence[RefundRefusal]) -> None:
        for refusal in refusals:
            self.refusals.setdefault(refusal.refund_id, refusal)

    async def refund_refusal(self, account_id: str, refund_id: str) -> RefundRefusal | None:
        refusal = self.refusals.get(refund_id)
        return refusal if refusal is not None and refusal.account_id == account_id else None

    async def task(self, account_id: str, task_id: str) -> TaskView | None:
        view = await self.task_anywhere(task_id)
        return view if view is not None and view.account_id == account_id else None

    async def task_anywhere(self, task_id: str) -> TaskView | None:
        row = self.tasks_kept.get(task_id)
        return row.view if row is not None else None

    async def tasks(self, account_id: str, page: Page) -> list[TaskView]:
        def place(view: TaskView) -> tuple[int, str]:
            assert view.terms is not None
            return int(view.terms.accepted_at.timestamp() * 1_000_000), view.task_id

        views = [row.view for row in self.tasks_kept.values()]
        mine = [view for view in views if view.account_id == account_id and view.terms]
        mine = [view for view in mine if page.state in {None, view.state}]
        mine = [view for view in mine if page.after is None or place(view) < page.after]
        return sorted(mine, key=place, reverse=True)[: page.limit]

    async def candidates(self, account_id: str, task_id: str, page: Page) -> list[Mapping[str, Any]]:
        mine = self._candidates(account_id, task_id)
        mine = [candidate for candidate in mine if page.state in {None, candidate["state"]}]
        mine = [candidate for candidate in mine if page.after is None or candidate["place"] > page.after[0]]
        return sorted(mine, key=lambda candidate: candidate["place"])[: page.limit]

    async def candidate(self, account_id: str, task_id: str, candidate_id: str) -> Mapping[str, Any] | None:
        mine = self._candidates(account_id, task_id)
        return next((candidate for candidate in mine if candidate["candidate_id"] == candidate_id), None)

    def _candidates(self, account_id: str, task_id: str) -> list[Mapping[str, Any]]:
        row = self.tasks_kept.get(task_id)
        if row is None or row.view.account_id != account_id:
            return []
        fields = dict(row.candidates)
        for (owner, _), segment in self.segments.items():
            fields |= segment.candidates if owner == task_id else {}
        return [
            {
                **known,
                "candidate_id": key,
                "task_id": task_id,
                "account_id": account_id,
                "place": known.get("round_index", 0) * 1_000_000 + known.get("index", 0),
            }
            for key, known in fields.items()
        ]

    async def events(self, account_id: str, task_id: str, after: int, limit: int) -> list[PublicEvent]:
        row = self.tasks_kept.get(task_id)
        if row is None or row.view.account_id != account_id:
            return []
        numbered = {event.number: event for event in row.events}
        for (owner, _), events in self.full.items():
            numbered |= {event.number: event for event in events if owner == task_id}
        return [numbered[number] for number in sorted(numbered) if number > after][:limit]


@dataclass
class MemoryFiles:
    """The private bucket in memory."""

    bucket: str = "winnow-private"
    objects: dict[str, bytes] = field(default_factory=dict)

    async def put(self, key: str, body: bytes, content_type: str) -> None:
        del content_type
        self.objects[key] = body

    async def get(self, key: str, size_bytes_max: int) -> bytes:
        del size_bytes_max
        if key not in self.objects:
            raise NotFound("the object does not exist")
        return self.objects[key]

    async def delete(self, key: str) -> None:
        self.objects.pop(key, None)

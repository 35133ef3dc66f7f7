"""Ingest in memory: its own use cases, journals and routes on ports without servers, for edge-to-edge tests."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from services.ingest.domain.answers import (
    Balance,
    EntryView,
    Hint,
    Link,
    RefundRefusal,
    ScreenedInput,
    Screening,
    WebhookDelivery,
    WebhookEndpoint,
)
from services.ingest.domain.keys import KeyRecord
from services.ingest.domain.orders import CostQuote, Price
from services.ingest.domain.task_projection import BatchProjection, Page, PublicEvent
from services.ingest.domain.views import TaskView
from winnow.contracts.errors import NotFound, Refused, Unavailable, WinnowError
from winnow.contracts.ids import Prefix, derive_id

START = datetime(2026, 1, 1, tzinfo=UTC)
CREDIT = 1_000_000

HINT = Hint("no_face", 0.0, 1.0, "faces", "no face was found, exactly one is needed")


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

    views: dict[str, TaskView] = field(default_factory=dict)
    rows: dict[str, dict[str, Any]] = field(default_factory=dict)
    stream: dict[str, PublicEvent] = field(default_factory=dict)
    kept_entries: dict[str, EntryView] = field(default_factory=dict)
    refusals: dict[str, RefundRefusal] = field(default_factory=dict)

    async def load(self, task_ids: Sequence[str]) -> dict[str, TaskView]:
        return {id_: self.views[id_] for id_ in task_ids if id_ in self.views}

    async def save(self, projected: BatchProjection) -> set[str]:
        for event in projected.events:
            self.stream.setdefault(event.event_id, event)
        for key, (view, patch) in projected.patches.items():
            row = self.rows.setdefault(key, {"candidate_id": key, "offset": -1})
            if row["offset"] < view.offset:
                owner = {"task_id": view.task_id, "account_id": view.account_id, "offset": view.offset}
                row |= {**patch, **owner}
                row["place"] = row.get("round_index", 0) * 1_000_000 + row.get("index", 0)
        newer = set()
        for view in projected.views.values():
            stored = self.views.get(view.task_id)
            if stored is not None and stored.offset >= view.offset:
                newer.add(view.task_id)
            else:
                self.views[view.task_id] = view
        return newer

    async def save_entries(self, entries: Sequence[EntryView]) -> None:
        for entry in entries:
            self.kept_entries.setdefault(entry.entry_id, entry)

    async def save_refusals(self, refusals: Sequence[RefundRefusal]) -> None:
        for refusal in refusals:
            self.refusals.setdefault(refusal.refund_id, refusal)

    async def entry(self, account_id: str, entry_id: str) -> EntryView | None:
        entry = self.kept_entries.get(entry_id)
        return entry if entry is not None and entry.account_id == account_id else None

    async def refund_refusal(self, account_id: str, refund_id: str) -> RefundRefusal | None:
        refusal = self.refusals.get(refund_id)
        return refusal if refusal is not None and refusal.account_id == account_id else None

    async def task(self, account_id: str, task_id: str) -> TaskView | None:
        view = self.views.get(task_id)
        return view if view is not None and view.account_id == account_id else None

    async def task_anywhere(self, task_id: str) -> TaskView | None:
        return self.views.get(task_id)

    async def tasks(self, account_id: str, page: Page) -> list[TaskView]:
        def place(view: TaskView) -> tuple[int, str]:
            assert view.terms is not None
            return int(view.terms.accepted_at.timestamp() * 1_000_000), view.task_id

        mine = [view for view in self.views.values() if view.account_id == account_id and view.terms]
        mine = [view for view in mine if page.state in {None, view.state}]
        mine = [view for view in mine if page.after is None or place(view) < page.after]
        return sorted(mine, key=place, reverse=True)[: page.limit]

    async def candidates(self, account_id: str, task_id: str, page: Page) -> list[Mapping[str, Any]]:
        mine: list[Mapping[str, Any]] = [
            row for row in self.rows.values() if (row["account_id"], row["task_id"]) == (account_id, task_id)
        ]
        mine = [candidate for candidate in mine if page.state in {None, candidate["state"]}]
        mine = [candidate for candidate in mine if page.after is None or candidate["place"] > page.after[0]]
        return sorted(mine, key=lambda candidate: candidate["place"])[: page.limit]

    async def candidate(self, account_id: str, task_id: str, candidate_id: str) -> Mapping[str, Any] | None:
        row = self.rows.get(candidate_id)
        return row if row and (row["account_id"], row["task_id"]) == (account_id, task_id) else None

    async def events(self, account_id: str, task_id: str, after: int, limit: int) -> list[PublicEvent]:
        mine = [
            event
            for event in self.stream.values()
            if (event.account_id, event.task_id) == (account_id, task_id)
        ]
        return sorted((event for event in mine if event.number > after), key=lambda event: event.number)[
            :limit
        ]

    async def entries(self, account_id: str, page: Page) -> list[EntryView]:
        mine = [entry for entry in self.kept_entries.values() if entry.account_id == account_id]
        return sorted(mine, key=lambda entry: entry.offset, reverse=True)[: page.limit]

    async def entries_of_task(self, account_id: str, task_id: str) -> list[EntryView]:
        return [
            entry
            for entry in self.kept_entries.values()
            if (entry.account_id, entry.task_id) == (account_id, task_id)
        ]

    async def grant_entry(self, account_id: str, grant_id: str) -> EntryView | None:
        mine = [
            entry
            for entry in self.kept_entries.values()
            if (entry.account_id, entry.grant_id) == (account_id, grant_id)
        ]
        return mine[0] if mine else None


@dataclass
class FakeLedger:
    """Prices 2 credits an output; balances are what the test says."""

    available: dict[str, int] = field(default_factory=lambda: defaultdict(lambda: 1000 * CREDIT))
    down: bool = False
    asked_count: int = 0

    async def quote(self, template: Any, mode: Any, k: int) -> Price:
        del template, mode
        self._check()
        return Price(2 * CREDIT, 2 * CREDIT * k, "test@1")

    async def balance(self, account_id: str) -> Balance:
        self._check()
        self.asked_count += 1
        return Balance(account_id, self.available[account_id], 0, 0, ())

    def _check(self) -> None:
        if self.down:
            raise Unavailable("The ledger service does not answer.")


@dataclass
class FakeRouter:
    """Costs 10,000 micro-USD an item at the cheapest."""

    async def quote(self, template: Any, mode: Any, k: int) -> CostQuote:
        del template, mode
        return CostQuote(15_000 * k, 10_000 * k, 60_000 * k, 2 * k)

    async def offerings(self, capability: str) -> tuple[Any, ...]:
        del capability
        return ()


@dataclass
class FakeScreener:
    """Accepts unless told a code."""

    refusal: str = ""

    async def screen(self, bucket: str, key: str, profile: str) -> Screening:
        del bucket, key, profile
        return Screening(
            not self.refusal, self.refusal, "because", 640, 480, "image/png", ("no_face",), (HINT,)
        )


@dataclass
class FakeDelivery:
    """Signs links and keeps endpoints."""

    kept: dict[str, tuple[str, WebhookEndpoint]] = field(default_factory=dict)
    refusal: WinnowError | None = None

    async def renew_links(self, account_id: str, task_id: str, expires_in_s: int) -> tuple[Link, ...]:
        del account_id
        out = derive_id(Prefix.output, task_id)
        return (Link(out, f"http://files/{out}", f"http://files/{out}/thumb", expires_in_s or 900),)

    async def register_endpoint(
        self, account_id: str, url: str, event_types: Sequence[str]
    ) -> tuple[WebhookEndpoint, str]:
        if self.refusal is not None:
            raise self.refusal
        endpoint = WebhookEndpoint(
            f"whe_{len(self.kept)}", url, tuple(event_types), True, "2026-01-01T00:00:00Z"
        )
        self.kept[endpoint.endpoint_id] = (account_id, endpoint)
        return endpoint, "whsec_test"

    async def endpoints(self, account_id: str) -> tuple[WebhookEndpoint, ...]:
        return tuple(endpoint for owner, endpoint in self.kept.values() if owner == account_id)

    async def delete_endpoint(self, account_id: str, endpoint_id: str) -> None:
        if self.kept.get(endpoint_id, ("",))[0] != account_id:
            raise NotFound("There is no such endpoint.")
        del self.kept[endpoint_id]

    async def deliveries(self, account_id: str, task_id: str, limit: int) -> tuple[WebhookDelivery, ...]:
        del account_id, task_id, limit
        return ()

    async def redeliver(self, account_id: str, delivery_id: str) -> WebhookDelivery:
        del account_id, delivery_id
        raise NotFound("There is no such delivery.")


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


@dataclass
class FakeFetcher:
    """Answers every URL with the same body, or refuses."""

    body: bytes = b""
    refusal: Refused | None = None

    async def fetch(self, url: str) -> bytes:
        del url
        if self.refusal is not None:
            raise self.refusal
        return self.body

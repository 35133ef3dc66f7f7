"""Services and hosts that ingest asks, each played in the process of the test."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any

from services.ingest.domain.answers import (
    Balance,
    EntryView,
    Hint,
    Link,
    Screening,
    WebhookDelivery,
    WebhookEndpoint,
)
from services.ingest.domain.orders import CostQuote, Price
from winnow.contracts.errors import NotFound, Refused, Unavailable, WinnowError
from winnow.contracts.events import EntryRecorded
from winnow.contracts.ids import Prefix, derive_id

CREDIT = 1_000_000
HINT = Hint("no_face", 0.0, 1.0, "faces", "no face was found, exactly one is needed")


@dataclass
class FakeLedger:
    """Prices 2 credits an output; balances are what the test says, and entries what it booked."""

    available: dict[str, int] = field(default_factory=lambda: defaultdict(lambda: 1000 * CREDIT))
    down: bool = False
    asked_count: int = 0
    booked: dict[str, EntryView] = field(default_factory=dict)

    def book(self, entry: EntryRecorded, at: datetime) -> None:
        """Book an entry as the newest."""
        known = {key.name for key in fields(EntryView)} - {"kind", "occurred_at"}
        values = entry.model_dump(include=known)
        self.booked.setdefault(entry.entry_id, EntryView(kind=entry.kind.value, occurred_at=at, **values))

    async def entries(self, account_id: str, limit: int, after: str) -> list[EntryView]:
        self._check()
        mine = [entry for entry in self.booked.values() if entry.account_id == account_id][::-1]
        places = {entry.entry_id: place for place, entry in enumerate(mine)}
        if after and after not in places:
            return []
        return mine[places[after] + 1 if after else 0 :][:limit]

    async def entries_of_task(self, account_id: str, task_id: str) -> list[EntryView]:
        self._check()
        entries = self.booked.values()
        return [entry for entry in entries if (entry.account_id, entry.task_id) == (account_id, task_id)]

    async def entry(self, account_id: str, entry_id: str) -> EntryView | None:
        self._check()
        entry = self.booked.get(entry_id)
        return entry if entry is not None and entry.account_id == account_id else None

    async def grant_entry(self, account_id: str, grant_id: str) -> EntryView | None:
        self._check()
        entries = self.booked.values()
        mine = [entry for entry in entries if (entry.account_id, entry.grant_id) == (account_id, grant_id)]
        return mine[0] if mine else None

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
class FakeFetcher:
    """Answers every URL with the same body, or refuses."""

    body: bytes = b""
    refusal: Refused | None = None

    async def fetch(self, url: str) -> bytes:
        del url
        if self.refusal is not None:
            raise self.refusal
        return self.body

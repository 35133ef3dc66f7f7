"""Ports: the outside as the use cases need it. Every port may also raise Unavailable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from services.ingest.domain.answers import (
    Balance,
    EntryView,
    Link,
    Offering,
    RefundRefusal,
    ScreenedInput,
    Screening,
    WebhookDelivery,
    WebhookEndpoint,
)
from services.ingest.domain.keys import KeyRecord
from services.ingest.domain.orders import CostQuote, Price
from services.ingest.domain.requests import Origin, Outcome, Request, RequestState
from services.ingest.domain.task_projection import Page, PublicEvent
from services.ingest.domain.task_row import BatchRows, TaskRow
from services.ingest.domain.views import TaskView
from winnow.contracts.values import Mode, TemplateRef


class RequestAggregates(Protocol):
    """The journal of HTTP requests."""

    async def submit(self, request: Request, origin: Origin) -> Outcome:
        """Record a request once; raises Conflict (``idempotency_key_reused``) when its content differs."""
        ...

    async def find(self, input_id: str, aggregate_id: str) -> RequestState | None:
        """Return what a request recorded, from memory or the journal."""
        ...


class Ledger(Protocol):
    """Questions to the books."""

    async def quote(self, template: TemplateRef, mode: Mode, k: int) -> Price:
        """Price an order; raises Refused for one without a price."""
        ...

    async def balance(self, account_id: str) -> Balance:
        """Return a balance; an account that was never granted anything has zero."""
        ...

    async def entries(self, account_id: str, limit: int, after: str) -> list[EntryView]:
        """Return entries of the books, newest first; none after an entry that the account does not have."""
        ...

    async def entries_of_task(self, account_id: str, task_id: str) -> list[EntryView]:
        """Return the entries about one task, in order."""
        ...

    async def entry(self, account_id: str, entry_id: str) -> EntryView | None:
        """Return an entry by its id; None while it is not booked."""
        ...

    async def grant_entry(self, account_id: str, grant_id: str) -> EntryView | None:
        """Return the entry that books a grant; None while it is not booked."""
        ...


class Router(Protocol):
    """Questions about cost and supply."""

    async def quote(self, template: TemplateRef, mode: Mode, k: int) -> CostQuote:
        """Return what an order costs at providers; raises Refused with ``no_offering``."""
        ...

    async def offerings(self, capability: str) -> tuple[Offering, ...]:
        """Return the offerings, all for an empty capability."""
        ...


class Screener(Protocol):
    """The scorer's look at an input."""

    async def screen(self, bucket: str, key: str, profile: str) -> Screening:
        """Screen a stored image."""
        ...


class Delivery(Protocol):
    """Links and webhooks."""

    async def renew_links(self, account_id: str, task_id: str, expires_in_s: int) -> tuple[Link, ...]:
        """Sign fresh links; raises NotFound for a task without outputs."""
        ...

    async def register_endpoint(
        self, account_id: str, url: str, event_types: Sequence[str]
    ) -> tuple[WebhookEndpoint, str]:
        """Register an endpoint; return it and its secret. Raises Refused with ``url_not_allowed``."""
        ...

    async def endpoints(self, account_id: str) -> tuple[WebhookEndpoint, ...]:
        """Return an account's endpoints."""
        ...

    async def delete_endpoint(self, account_id: str, endpoint_id: str) -> None:
        """Delete an endpoint; raises NotFound."""
        ...

    async def deliveries(self, account_id: str, task_id: str, limit: int) -> tuple[WebhookDelivery, ...]:
        """Return the delivery log, newest first."""
        ...

    async def redeliver(self, account_id: str, delivery_id: str) -> WebhookDelivery:
        """Send a delivery again; raises NotFound."""
        ...


class Files(Protocol):
    """The private bucket."""

    bucket: str

    async def put(self, key: str, body: bytes, content_type: str) -> None:
        """Store an object; the same key always gets the same bytes."""
        ...

    async def get(self, key: str, size_bytes_max: int) -> bytes:
        """Read an object; raises NotFound."""
        ...

    async def delete(self, key: str) -> None:
        """Delete an object; an absent one does not matter."""
        ...


class Fetcher(Protocol):
    """Reads what a client's URL names, through the guard against requests into private networks."""

    async def fetch(self, url: str) -> bytes:
        """Read the body; raises Refused (url_not_allowed, url_not_reachable, url_tls_failed, body_too_large)."""
        ...


class Keys(Protocol):
    """Stored API keys."""

    async def find(self, key_id: str) -> KeyRecord | None:
        """Return a key by its id."""
        ...

    async def add(self, record: KeyRecord) -> None:
        """Store a new key."""
        ...

    async def list(self, account_id: str | None) -> list[KeyRecord]:
        """Return the keys of an account, or all, newest first."""
        ...

    async def revoke(self, key_id: str, at: datetime) -> bool:
        """Revoke a key; says whether it exists. A second revocation changes nothing."""
        ...


class AccountSettings(Protocol):
    """Settings of an account, as operators set them."""

    async def priority_max(self, account_id: str) -> int | None:
        """Return the highest priority the account may ask for; None when nobody has set it."""
        ...

    async def set_priority_max(self, account_id: str, priority_max: int) -> None:
        """Set it; the last one who does wins."""
        ...


class Inputs(Protocol):
    """Screened inputs."""

    async def add(self, screened: ScreenedInput) -> None:
        """Keep an accepted input; adding it again changes nothing."""
        ...

    async def find(self, account_id: str, input_ids: Sequence[str]) -> dict[str, ScreenedInput]:
        """Return those inputs of the account that exist."""
        ...


class Views(Protocol):
    """The read model, for readers: every question names the account."""

    async def task(self, account_id: str, task_id: str) -> TaskView | None:
        """Return a task's view."""
        ...

    async def tasks(self, account_id: str, page: Page) -> list[TaskView]:
        """Return tasks, newest first."""
        ...

    async def candidates(self, account_id: str, task_id: str, page: Page) -> list[Mapping[str, Any]]:
        """Return candidates by round and index."""
        ...

    async def candidate(self, account_id: str, task_id: str, candidate_id: str) -> Mapping[str, Any] | None:
        """Return a candidate."""
        ...

    async def events(self, account_id: str, task_id: str, after: int, limit: int) -> list[PublicEvent]:
        """Return the events after a number, in order."""
        ...

    async def refund_refusal(self, account_id: str, refund_id: str) -> RefundRefusal | None:
        """Return how the ledger refused a refund; None when it has not."""
        ...

    async def task_anywhere(self, task_id: str) -> TaskView | None:
        """Return a task's view from any account: for administrators only."""
        ...


class ViewStore(Protocol):
    """The read model, for its writer."""

    async def load(self, task_ids: Sequence[str]) -> dict[str, TaskRow]:
        """Return the rows as stored."""
        ...

    async def save(self, batch: BatchRows) -> set[str]:
        """Write segments, then rows; return the tasks whose stored row was newer."""
        ...

    async def save_refusals(self, refusals: Sequence[RefundRefusal]) -> None:
        """Write refused refunds; one that is there stays."""
        ...

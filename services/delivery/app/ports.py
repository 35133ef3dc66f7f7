"""Ports: the outside as the use cases need it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from services.delivery.domain.endpoints import Endpoint, WebhookAnswer, WebhookRequest
from services.delivery.domain.images import FinishedImage
from services.delivery.domain.records import KeptOutputs, Redelivery
from services.delivery.domain.task import TaskDelivery
from winnow.contracts.values import StoredObject
from winnow.eventstore import Decided, Input


class DeliveryAggregates(Protocol):
    """The journal, as the use cases see it."""

    async def submit(self, input_: Input) -> Decided[TaskDelivery]:
        """Decide a local input. Raises NotOwner when another process owns the task."""
        ...

    async def read_state(self, aggregate_id: str) -> TaskDelivery | None:
        """Return a state as the newest block leaves it, also of another owner's task."""
        ...


class Files(Protocol):
    """The object store. Absent objects raise NotFound; a store that does not answer, Unavailable."""

    async def put(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        """Store an object; storing the same again changes nothing."""
        ...

    async def get(self, bucket: str, key: str, max_bytes: int) -> bytes:
        """Read an object; a larger one raises ValueError."""
        ...

    async def delete(self, bucket: str, keys: list[str]) -> None:
        """Delete objects; absent objects do not matter."""
        ...


class Links(Protocol):
    """Signer of links."""

    async def presign_get(
        self, bucket: str, key: str, *, expires_in_s: int, filename: str, content_type: str
    ) -> str:
        """Sign a link that downloads as an attachment."""
        ...


class Images(Protocol):
    """Finisher of images, off the event loop."""

    async def finish(self, content: bytes, stored: StoredObject) -> FinishedImage:
        """Check that the bytes are what was stored, and finish them.

        Raises ContentDiffers, or Refused (image_not_decodable, image_too_large).
        """
        ...


class Sender(Protocol):
    """Sender of webhooks."""

    async def check(self, url: str) -> None:
        """Check an address. Raises Refused (url_not_allowed)."""
        ...

    async def send(self, request: WebhookRequest) -> WebhookAnswer:
        """Make one attempt; never raises for what the other side does."""
        ...


class Endpoints(Protocol):
    """The webhook endpoints of all accounts; every method but the last three is bounded to one account."""

    async def add(self, endpoint: Endpoint, endpoints_max: int) -> None:
        """Keep an endpoint. Raises Refused (out_of_bounds) when the account has ``endpoints_max``."""
        ...

    async def of_account(self, account_id: str) -> list[Endpoint]:
        """Return the endpoints, oldest first."""
        ...

    async def remove(self, account_id: str, endpoint_id: str) -> bool:
        """Remove an endpoint; False when there is none."""
        ...

    async def subscribed(self, account_id: str, event_type: str) -> list[Endpoint]:
        """Return the enabled endpoints that want this type."""
        ...

    async def find(self, endpoint_id: str) -> Endpoint | None:
        """Return an endpoint."""
        ...

    async def note_success(self, endpoint_id: str) -> None:
        """Forget earlier failures."""
        ...

    async def note_failure(self, endpoint_id: str, at: datetime, *, disable: bool) -> None:
        """Note a failure, keeping the time of the first one, and switch the endpoint off if asked."""
        ...


class Index(Protocol):
    """Index of tasks by account, delivery and age. It is written before the decision it belongs to."""

    async def note_outputs(self, task_id: str, account_id: str, keys: Sequence[str], at: datetime) -> None:
        """Note the objects of a task."""
        ...

    async def outputs_before(self, at: datetime, limit: int) -> list[KeptOutputs]:
        """Return tasks whose objects were stored before ``at``, oldest first."""
        ...

    async def forget_outputs(self, task_ids: Sequence[str]) -> None:
        """Forget objects that are deleted."""
        ...

    async def note_webhooks(
        self, task_id: str, account_id: str, delivery_ids: Sequence[str], at: datetime
    ) -> None:
        """Note the webhook deliveries of a task."""
        ...

    async def tasks_with_webhooks(self, account_id: str, limit: int) -> list[str]:
        """Return an account's tasks that have webhook deliveries, newest first."""
        ...

    async def task_of_delivery(self, account_id: str, delivery_id: str) -> str | None:
        """Find the task of a webhook delivery of this account."""
        ...

    async def ask_redelivery(self, wanted: Redelivery, at: datetime) -> None:
        """Leave a redelivery for the owner of its task."""
        ...

    async def asked_redeliveries(self, limit: int) -> list[Redelivery]:
        """Return the redeliveries that wait, oldest first."""
        ...

    async def forget_redelivery(self, done: Redelivery) -> None:
        """Forget a redelivery that was decided."""
        ...

"""Files, endpoints, index and sender of delivery in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from services.delivery.domain.endpoints import Endpoint, WebhookAnswer, WebhookRequest
from services.delivery.domain.messages import AttemptReason
from services.delivery.domain.records import KeptOutputs, Redelivery
from winnow.contracts.errors import ErrorCode, NotFound, Refused, Unavailable
from winnow.contracts.values import SelectedCandidate


@dataclass
class MemoryFiles:
    """The object store in a dictionary; ``failures`` calls raise Unavailable."""

    objects: dict[tuple[str, str], bytes] = field(default_factory=dict)
    failures: int = 0

    def keep(self, candidate: SelectedCandidate, content: bytes) -> None:
        self.objects[candidate.stored.bucket, candidate.stored.key] = content

    async def put(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        self._fail()
        self.objects[bucket, key] = body

    async def get(self, bucket: str, key: str, max_bytes: int) -> bytes:
        self._fail()
        if (bucket, key) not in self.objects:
            raise NotFound("absent")
        if len(self.objects[bucket, key]) > max_bytes:
            raise ValueError
        return self.objects[bucket, key]

    async def delete(self, bucket: str, keys: list[str]) -> None:
        self._fail()
        for key in keys:
            self.objects.pop((bucket, key), None)

    async def presign_get(
        self, bucket: str, key: str, *, expires_in_s: int, filename: str, content_type: str
    ) -> str:
        return f"https://store/{bucket}/{key}?expires={expires_in_s}&file={filename}&type={content_type}"

    def _fail(self) -> None:
        if self.failures:
            self.failures -= 1
            raise Unavailable("away")


@dataclass
class MemoryEndpoints:
    """The endpoints in a dictionary."""

    kept: dict[str, Endpoint] = field(default_factory=dict)

    async def add(self, endpoint: Endpoint, endpoints_max: int) -> None:
        if len(await self.of_account(endpoint.account_id)) >= endpoints_max:
            raise Refused(ErrorCode.out_of_bounds, "too many")
        self.kept[endpoint.endpoint_id] = endpoint

    async def of_account(self, account_id: str) -> list[Endpoint]:
        return [kept for kept in self.kept.values() if kept.account_id == account_id]

    async def remove(self, account_id: str, endpoint_id: str) -> bool:
        kept = self.kept.get(endpoint_id)
        if kept is None or kept.account_id != account_id:
            return False
        del self.kept[endpoint_id]
        return True

    async def subscribed(self, account_id: str, event_type: str) -> list[Endpoint]:
        return [
            kept
            for kept in await self.of_account(account_id)
            if kept.enabled and (not kept.event_types or event_type in kept.event_types)
        ]

    async def find(self, endpoint_id: str) -> Endpoint | None:
        return self.kept.get(endpoint_id)

    async def note_success(self, endpoint_id: str) -> None:
        self.kept[endpoint_id] = replace(self.kept[endpoint_id], failing_since=None)

    async def note_failure(self, endpoint_id: str, at: datetime, *, disable: bool) -> None:
        kept = self.kept[endpoint_id]
        self.kept[endpoint_id] = replace(
            kept, failing_since=kept.failing_since or at, enabled=kept.enabled and not disable
        )


@dataclass
class MemoryIndex:
    """The index in dictionaries."""

    outputs: dict[str, tuple[datetime, tuple[str, ...]]] = field(default_factory=dict)
    webhooks: dict[str, tuple[str, set[str], datetime]] = field(default_factory=dict)
    asked: list[Redelivery] = field(default_factory=list)

    async def note_outputs(self, task_id: str, account_id: str, keys: Sequence[str], at: datetime) -> None:
        self.outputs[task_id] = (at, tuple(keys))

    async def outputs_before(self, at: datetime, limit: int) -> list[KeptOutputs]:
        old = [KeptOutputs(key, keys) for key, (kept_at, keys) in self.outputs.items() if kept_at < at]
        return sorted(old, key=lambda kept: self.outputs[kept.task_id][0])[:limit]

    async def forget_outputs(self, task_ids: Sequence[str]) -> None:
        for id_ in task_ids:
            del self.outputs[id_]

    async def note_webhooks(
        self, task_id: str, account_id: str, delivery_ids: Sequence[str], at: datetime
    ) -> None:
        self.webhooks.setdefault(task_id, (account_id, set(delivery_ids), at))

    async def tasks_with_webhooks(self, account_id: str, limit: int) -> list[str]:
        own = [key for key, (account, _, _) in self.webhooks.items() if account == account_id]
        return sorted(own, key=lambda key: self.webhooks[key][2], reverse=True)[:limit]

    async def task_of_delivery(self, account_id: str, delivery_id: str) -> str | None:
        return next(
            (
                key
                for key, (account, ids, _) in self.webhooks.items()
                if account == account_id and delivery_id in ids
            ),
            None,
        )

    async def ask_redelivery(self, wanted: Redelivery, at: datetime) -> None:
        if wanted not in self.asked:
            self.asked.append(wanted)

    async def asked_redeliveries(self, limit: int) -> list[Redelivery]:
        return self.asked[:limit]

    async def forget_redelivery(self, done: Redelivery) -> None:
        self.asked.remove(done)


@dataclass
class RecordingSender:
    """Keeps requests and gives the answers it was told, then successes."""

    answers: list[WebhookAnswer] = field(default_factory=list)
    requests: list[WebhookRequest] = field(default_factory=list)

    async def check(self, url: str) -> None:
        if not url.startswith("https://"):
            raise Refused(ErrorCode.url_not_allowed, "no")

    async def send(self, request: WebhookRequest) -> WebhookAnswer:
        self.requests.append(request)
        return self.answers.pop(0) if self.answers else WebhookAnswer(200, AttemptReason.accepted)

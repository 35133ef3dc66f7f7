"""Answers of the other services, as values: balances, offerings, screenings, links, webhooks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from winnow.contracts.states import ENDS, TaskState
from winnow.contracts.values import StoredObject

END_TYPES: Final = tuple(f"task.{state.value}" for state in TaskState if state in ENDS)
"""The events that a webhook endpoint may ask for: the ends of a task."""


@dataclass(frozen=True, slots=True)
class GrantLeft:
    """A grant and what is left of it, in micro-credits."""

    grant_id: str
    source: str
    granted_credits_micro: int
    left_credits_micro: int
    expires_at: str | None


@dataclass(frozen=True, slots=True)
class Balance:
    """Balance of an account: available, held for open tasks, and charged, in micro-credits."""

    account_id: str
    available_credits_micro: int
    held_credits_micro: int
    settled_credits_micro: int
    grants: tuple[GrantLeft, ...]


@dataclass(frozen=True, slots=True)
class Offering:
    """One model version at one provider; the price is per item in micro-USD, shares in parts per million."""

    offering: str
    provider: str
    model: str
    model_version: str
    capabilities: tuple[str, ...]
    price_usd_micro: int
    breaker: str
    success_rate_ppm: int
    pass_rate_ppm: int
    latency_ms: int
    in_flight_count: int
    concurrency_limit: int
    drained: bool


@dataclass(frozen=True, slots=True)
class Hint:
    """Advice on an input that does not refuse it: ``measured`` against ``needed`` in ``unit``, and a sentence."""

    code: str
    measured: float
    needed: float
    unit: str
    sentence: str


@dataclass(frozen=True, slots=True)
class Screening:
    """The scorer's answer about an input; ``code`` and ``detail`` say why it was refused."""

    accepted: bool
    code: str
    detail: str
    width: int
    height: int
    content_type: str
    advice: tuple[str, ...]
    hints: tuple[Hint, ...] = ()


@dataclass(frozen=True, slots=True)
class ScreenedInput:
    """An input that was accepted, with the scorer's hints about it."""

    input_id: str
    account_id: str
    stored: StoredObject
    advice: tuple[str, ...]
    created_at: datetime
    hints: tuple[Hint, ...] = ()


@dataclass(frozen=True, slots=True)
class Link:
    """Presigned links to an output and its thumbnail; never logged."""

    output_id: str
    url: str
    thumbnail_url: str
    expires_in_s: int


@dataclass(frozen=True, slots=True)
class WebhookEndpoint:
    """URL to which an account has its events sent; no event types means every end of a task."""

    endpoint_id: str
    url: str
    event_types: tuple[str, ...]
    enabled: bool
    created_at: str


@dataclass(frozen=True, slots=True)
class DeliveryAttempt:
    """One try to send a webhook; status 0 when no answer came."""

    at: str
    status: int
    reason: str
    latency_ms: int


@dataclass(frozen=True, slots=True)
class WebhookDelivery:
    """An event on its way to an endpoint, with its attempts."""

    delivery_id: str
    endpoint_id: str
    task_id: str
    event_type: str
    state: str
    attempts: tuple[DeliveryAttempt, ...]
    next_attempt_at: str | None


@dataclass(frozen=True, slots=True)
class EntryView:
    """An entry of the books as the ledger shows it; amounts in micro-credits."""

    entry_id: str
    account_id: str
    kind: str
    amount_credits_micro: int
    occurred_at: datetime
    task_id: str | None
    grant_id: str | None
    reason: str
    available_credits_micro: int
    held_credits_micro: int


class RefundStatus(StrEnum):
    """State of a refund: the ledger has not decided yet, has booked it, or has refused it."""

    pending = "pending"
    refunded = "refunded"
    refused = "refused"


@dataclass(frozen=True, slots=True)
class RefundRefusal:
    """A refund that the ledger refused, as the read model keeps it."""

    refund_id: str
    account_id: str
    task_id: str
    amount_credits_micro: int
    code: str
    reason: str
    decided_at: datetime


@dataclass(frozen=True, slots=True)
class RefundView:
    """A refund and what became of it; amounts in micro-credits."""

    refund_id: str
    account_id: str
    task_id: str
    amount_credits_micro: int
    status: RefundStatus
    code: str | None = None
    reason: str | None = None
    decided_at: datetime | None = None


class ImageFormat(StrEnum):
    """The formats that an input may have, by media type."""

    jpeg = "image/jpeg"
    png = "image/png"
    webp = "image/webp"


_RIFF_HEADER_BYTES: Final = 12


def format_of(body: bytes) -> ImageFormat | None:
    """Return an image's format by its first bytes; None for anything else. What a client says is not asked."""
    if body.startswith(b"\xff\xd8\xff"):
        return ImageFormat.jpeg
    if body.startswith(b"\x89PNG\r\n\x1a\n"):
        return ImageFormat.png
    if len(body) >= _RIFF_HEADER_BYTES and body[:4] == b"RIFF" and body[8:12] == b"WEBP":
        return ImageFormat.webp
    return None

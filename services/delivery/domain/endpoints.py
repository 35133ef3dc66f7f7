"""Webhook endpoints: what they subscribe to, how their secrets come about, when they are switched off."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from services.delivery.domain.messages import END_TYPES, AttemptReason
from winnow.contracts.errors import ErrorCode, Refused
from winnow.contracts.ids import Prefix

FAILING_MAX: Final = timedelta(days=5)
"""An endpoint that has answered nothing well for this long is switched off. Source: Svix, endpoint disabling."""

URL_MAX: Final = 2000


@dataclass(frozen=True, slots=True)
class Endpoint:
    """URL at which an account receives events; empty ``event_types`` means every end of a task.

    ``failing_since`` is the first failure after the last success.
    """

    endpoint_id: str
    account_id: str
    url: str
    event_types: tuple[str, ...]
    enabled: bool
    created_at: datetime
    failing_since: datetime | None = None


@dataclass(frozen=True, slots=True)
class WebhookRequest:
    """One signed request. ``at`` is the time of the attempt; ``secret`` is never logged."""

    url: str
    delivery_id: str
    at: datetime
    secret: str
    body: bytes


@dataclass(frozen=True, slots=True)
class WebhookAnswer:
    """Answer of a webhook endpoint; ``status`` is 0 when nothing did."""

    status: int
    reason: AttemptReason
    retry_after_s: int = 0


def endpoint_id_at(at: datetime, randomness: bytes) -> str:
    """Build the time-ordered id of a new endpoint (UUIDv7, RFC 9562 §5.7) from 10 random bytes."""
    milliseconds = int(at.timestamp() * 1000)
    value = (milliseconds & (1 << 48) - 1) << 80 | int.from_bytes(randomness[:10], "big")
    value = value & ~(0xF << 76) | 0x7 << 76
    value = value & ~(0x3 << 62) | 0x2 << 62
    return f"{Prefix.endpoint.value}_{UUID(int=value)}"


def secret_of(signing_key: bytes, endpoint_id: str) -> str:
    """Derive an endpoint's signing secret, so that none is stored: 32 bytes, as ``whsec_<base64>``."""
    secret = hmac.new(signing_key, endpoint_id.encode(), hashlib.sha256).digest()
    return f"whsec_{base64.b64encode(secret).decode()}"


def checked_event_types(event_types: Sequence[str]) -> tuple[str, ...]:
    """Return the types in a fixed order, once each. Raises Refused (invalid_request) for an unknown one."""
    unknown = sorted(set(event_types) - set(END_TYPES))
    if unknown:
        raise Refused(
            ErrorCode.invalid_request,
            f"An endpoint subscribes to {', '.join(END_TYPES)}.",
            field="event_types",
        )
    return tuple(event_type for event_type in END_TYPES if event_type in event_types)


def is_disabled_after_failures(endpoint: Endpoint, now: datetime) -> bool:
    """Return whether an endpoint has failed for so long that it is switched off."""
    return endpoint.failing_since is not None and now - endpoint.failing_since >= FAILING_MAX

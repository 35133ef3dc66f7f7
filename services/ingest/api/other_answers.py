"""Answers to clients and administrators about anything but tasks."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field

from services.ingest.api.answers import Answer, Versioned
from services.ingest.domain.answers import RefundStatus
from services.ingest.domain.keys import Scope
from services.ingest.domain.orders import PRIORITY
from winnow.contracts.commands import GrantSource
from winnow.contracts.values import Mode


class QuoteAnswer(Answer):
    """Quote of an order: the price in credits, and for operators the provider cost in micro-USD."""

    template: Versioned
    mode: Mode
    k: int
    price_per_output_credits_micro: int
    reserve_credits_micro: int
    price_rule: str
    expected_cost_usd_micro: int | None = Field(None, description="Only for keys with the scope operator.")
    cheapest_cost_usd_micro: int | None = Field(None, description="Only for keys with the scope operator.")
    cost_cap_default_usd_micro: int | None = Field(None, description="Only for keys with the scope operator.")
    candidates_expected_count: int


class BoundsAnswer(Answer):
    """The least and the greatest value, both allowed."""

    least: int
    greatest: int


class TemplateAnswer(Answer):
    """A template that can be ordered."""

    name: str
    version: int
    title: str
    description: str
    modes: list[Mode]
    profile: Versioned
    profiles: list[Versioned]
    k: BoundsAnswer
    size: BoundsAnswer
    size_step: int
    default_width: int
    default_height: int
    deadline_s: BoundsAnswer
    default_deadline_s: int
    inputs: BoundsAnswer
    wording: bool = Field(description="Whether copy_text and brand_colours are judged.")


class TemplateList(Answer):
    """All templates."""

    templates: list[TemplateAnswer]


class OfferingAnswer(Answer):
    """An offering with its price, health and load."""

    offering: str
    provider: str
    model: str
    model_version: str
    capabilities: list[str]
    price_usd_micro: int
    breaker: str = Field(description="closed, half_open or open.")
    success_rate_ppm: int
    pass_rate_ppm: int
    latency_ms: int
    in_flight_count: int
    concurrency_limit: int
    drained: bool


class OfferingList(Answer):
    """All offerings."""

    offerings: list[OfferingAnswer]


class GrantLeftAnswer(Answer):
    """A grant and what is left of it."""

    grant_id: str
    source: str
    granted_credits_micro: int
    left_credits_micro: int
    expires_at: str | None


class AccountAnswer(Answer):
    """An account's balance; micro-credits."""

    account_id: str
    available_credits_micro: int
    held_credits_micro: int
    settled_credits_micro: int
    grants: list[GrantLeftAnswer]


class AccountSettingsAnswer(Answer):
    """Settings of an account, as operators set them."""

    account_id: str
    priority_max: Annotated[int, Field(ge=PRIORITY.least, le=PRIORITY.greatest)] = Field(
        description="The highest priority its orders may ask for."
    )


class HintAnswer(Answer):
    """Advice on an input: what was measured, what is needed, in which unit, and a sentence for people."""

    code: str
    measured: float
    needed: float
    unit: str
    sentence: str


class InputAnswer(Answer):
    """An accepted input; ``advice`` holds hints that do not refuse it, ``hints`` the same with numbers and words."""

    input_id: str
    content_type: str
    width: int
    height: int
    size_bytes: int
    sha256: str
    advice: list[str]
    hints: list[HintAnswer]
    created_at: datetime


class EndpointAnswer(Answer):
    """A webhook endpoint."""

    endpoint_id: str
    url: str
    event_types: list[str]
    enabled: bool
    created_at: str


class NewEndpointAnswer(EndpointAnswer):
    """A new endpoint with its signing secret, shown this once."""

    secret: str


class EndpointList(Answer):
    """An account's endpoints."""

    endpoints: list[EndpointAnswer]


class DeliveryAttemptAnswer(Answer):
    """One try to send; status 0 when no answer came."""

    at: str
    status: int
    reason: str
    latency_ms: int


class DeliveryAnswer(Answer):
    """An event on its way to an endpoint."""

    delivery_id: str
    endpoint_id: str
    task_id: str
    event_type: str
    state: str
    attempts: list[DeliveryAttemptAnswer]
    next_attempt_at: str | None


class DeliveryList(Answer):
    """The delivery log, newest first."""

    deliveries: list[DeliveryAnswer]


class KeyAnswer(Answer):
    """A key without its secret."""

    key_id: str
    account_id: str
    scopes: list[Scope]
    label: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class NewKeyAnswer(KeyAnswer):
    """A new key, shown this once."""

    key: str


class KeyList(Answer):
    """Keys, newest first."""

    keys: list[KeyAnswer]


class GrantAnswer(Answer):
    """A grant; ``applied`` once the books hold it."""

    grant_id: str
    account_id: str
    amount_credits_micro: int
    source: GrantSource
    expires_at: datetime | None
    applied: bool


class RefundAnswer(Answer):
    """A refund, and what the ledger has decided: ``code`` and ``reason`` say why it was refused."""

    task_id: str
    account_id: str
    amount_credits_micro: int
    refund_id: str
    status: RefundStatus
    code: str | None
    reason: str | None
    decided_at: datetime | None

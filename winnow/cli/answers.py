"""The API's answers as the command line reads them; fields it does not know are ignored.

Provider costs and routes are shown to operators only, so every such field may be missing.
"""

from __future__ import annotations

from winnow.contracts.envelope import Instant, Value


class Versioned(Value):
    """A name pinned by version."""

    name: str
    version: int


class Round(Value):
    """A round of candidates and how it closed."""

    round_index: int
    planned_count: int
    wanted_count: int
    reason: str | None = None
    generated_count: int | None = None
    passed_count: int | None = None
    failed_count: int | None = None
    decision: str | None = None


class Route(Value):
    """One offering's part in a task; costs in micro-USD."""

    offering: str
    provider: str
    attempts_count: int
    failed_attempts_count: int
    candidates_count: int
    passed_count: int
    expected_cost_usd_micro: int
    actual_cost_usd_micro: int
    cost_per_accepted_usd_micro: int | None = None


class Spend(Value):
    """Provider cost so far against the cap, in micro-USD."""

    expected_usd_micro: int
    actual_usd_micro: int
    cap_usd_micro: int


class End(Value):
    """End of a task."""

    at: Instant | None = None
    code: str | None = None
    reason: str | None = None
    missing_count: int = 0
    shortfall_credits_micro: int = 0


class Settlement(Value):
    """Settlement of the reservation, in micro-credits."""

    reserved_credits_micro: int
    settled_credits_micro: int
    released_credits_micro: int
    delivered_count: int


class Task(Value):
    """A task as its owner sees it; routes and spend only with the scope operator."""

    id: str
    state: str
    complete: bool
    template: Versioned
    mode: str
    profile: Versioned
    k: int
    funnel: dict[str, int]
    failure_reasons: dict[str, int]
    rounds: list[Round]
    routes: list[Route] | None = None
    spend: Spend | None = None
    outputs_count: int
    label: str | None = None
    price_per_output_credits_micro: int | None = None
    created_at: Instant | None = None
    deadline_at: Instant
    end: End | None = None
    settlement: Settlement | None = None

    @property
    def took_s(self) -> float | None:
        """Seconds from the order to its end; None while it has none."""
        if self.created_at is None or self.end is None or self.end.at is None:
            return None
        return (self.end.at - self.created_at).total_seconds()


class Dimension(Value):
    """A measure of a candidate."""

    name: str
    status: str
    score: float | None = None
    threshold: float | None = None
    required: bool
    passed: bool


class Candidate(Value):
    """A candidate with its verdict."""

    candidate_id: str
    state: str
    round_index: int | None = None
    offering: str | None = None
    score: float | None = None
    rank: int | None = None
    reasons: tuple[str, ...] = ()
    dimensions: tuple[Dimension, ...] = ()
    set_aside_reason: str | None = None
    width: int | None = None


class OutputLink(Value):
    """A delivered output with its links."""

    output_id: str
    candidate_id: str = ""
    rank: int
    score: float
    sha256: str
    content_type: str = ""
    size_bytes: int = 0
    width: int = 0
    height: int = 0
    url: str | None = None
    thumbnail_url: str | None = None
    expires_in_s: int | None = None


class Margin(Value):
    """Margin of the operator, in micro-USD."""

    margin_usd_micro: int


class Bill(Value):
    """The explained bill: micro-credits for the client, micro-USD for what it cost."""

    is_final: bool
    promised_count: int
    delivered_count: int
    price_per_output_credits_micro: int
    price_rule: str
    reserved_credits_micro: int
    charged_credits_micro: int
    released_credits_micro: int
    refunded_credits_micro: int
    expected_cost_usd_micro: int | None = None
    actual_cost_usd_micro: int | None = None
    cost_per_delivered_usd_micro: int | None = None
    routes: list[Route] | None = None
    explanation: list[str]
    margin: Margin | None = None


class Offering(Value):
    """An offering and how it fares; shares in parts per million."""

    offering: str
    provider: str
    price_usd_micro: int | None = None
    breaker: str
    success_rate_ppm: int
    pass_rate_ppm: int
    latency_ms: int
    in_flight_count: int
    concurrency_limit: int
    drained: bool


class GrantLeft(Value):
    """A grant and the rest of it, in micro-credits."""

    grant_id: str
    source: str
    granted_credits_micro: int
    left_credits_micro: int
    expires_at: Instant | None = None


class Account(Value):
    """A balance, in micro-credits."""

    account_id: str
    available_credits_micro: int
    held_credits_micro: int
    settled_credits_micro: int = 0
    grants: tuple[GrantLeft, ...] = ()


class Entry(Value):
    """An entry of the ledger, in micro-credits, with the balance after it."""

    entry_id: str
    kind: str
    amount_credits_micro: int
    occurred_at: Instant
    task_id: str | None = None
    reason: str = ""
    available_credits_micro: int
    held_credits_micro: int


class Endpoint(Value):
    """A webhook endpoint without its secret."""

    endpoint_id: str
    url: str
    event_types: list[str]
    enabled: bool
    created_at: Instant


class Attempt(Value):
    """An attempt to send a webhook; status 0 when no answer came."""

    at: Instant
    status: int
    reason: str
    latency_ms: int


class Delivery(Value):
    """An event on its way to an endpoint."""

    delivery_id: str
    endpoint_id: str
    task_id: str
    event_type: str
    state: str
    attempts: list[Attempt]
    next_attempt_at: Instant | None = None


class Key(Value):
    """An API key without its secret."""

    key_id: str
    account_id: str
    scopes: list[str]
    label: str = ""
    created_at: Instant
    expires_at: Instant | None = None
    revoked_at: Instant | None = None

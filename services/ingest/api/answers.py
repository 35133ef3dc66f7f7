"""Answers to clients about tasks: explicit models, so that nothing internal leaves by accident."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from services.ingest.domain.views import CandidateState
from winnow.contracts.states import TaskState
from winnow.contracts.values import EntryKind, Mode, RoundDecision


class Answer(BaseModel):
    """An answer's part; written from the domain's values by field name."""

    model_config = ConfigDict(frozen=True, from_attributes=True)


class Versioned(Answer):
    """A name pinned by version."""

    name: str
    version: int


class RoundAnswer(Answer):
    """A round of candidates."""

    round_index: int
    planned_count: int
    wanted_count: int
    reason: str | None = Field(None, description="Only for keys with the scope operator.")
    generated_count: int | None
    passed_count: int | None
    failed_count: int | None
    decision: RoundDecision | None
    decision_reason: str | None


class RouteAnswer(Answer):
    """One offering's part in a task; micro-USD."""

    offering: str
    provider: str
    attempts_count: int
    failed_attempts_count: int
    candidates_count: int
    passed_count: int
    expected_cost_usd_micro: int
    actual_cost_usd_micro: int


class EndAnswer(Answer):
    """End of a task."""

    at: datetime
    code: str | None
    reason: str | None
    stage: str | None
    missing_count: int
    shortfall_credits_micro: int


class SettlementAnswer(Answer):
    """Settlement of the reservation, in micro-credits."""

    at: datetime
    reserved_credits_micro: int
    settled_credits_micro: int
    released_credits_micro: int
    delivered_count: int
    reason: str


class SpendAnswer(Answer):
    """Provider cost so far against the cap; micro-USD."""

    expected_usd_micro: int
    actual_usd_micro: int
    cap_usd_micro: int


class TaskAnswer(Answer):
    """A task: its terms, how far it is, and how it ended."""

    id: str
    state: TaskState
    complete: bool = Field(description="Nothing more will happen: the end and the bill are there.")
    template: Versioned
    mode: Mode
    profile: Versioned
    k: int
    width: int
    height: int
    inputs_count: int
    label: str | None
    priority: int
    price_per_output_credits_micro: int
    reserve_credits_micro: int
    created_at: datetime
    deadline_at: datetime
    updated_at: datetime | None
    funded_at: datetime | None
    cancel_requested_at: datetime | None
    funnel: dict[str, int] = Field(description="Candidates by state.")
    failure_reasons: dict[str, int] = Field(description="Why candidates failed, most frequent first.")
    rounds: list[RoundAnswer]
    routes: list[RouteAnswer] | None = Field(None, description="Only for keys with the scope operator.")
    spend: SpendAnswer | None = Field(None, description="Only for keys with the scope operator.")
    outputs_count: int
    end: EndAnswer | None
    settlement: SettlementAnswer | None


class TaskList(Answer):
    """A page of tasks, newest first."""

    tasks: list[TaskAnswer]
    next_cursor: str | None = Field(description="Where the next page starts; null at the end.")


class CandidateAnswer(Answer):
    """A candidate with its verdict. ``dimensions`` are the measures behind it."""

    candidate_id: str
    state: CandidateState
    round_index: int | None = None
    index: int | None = None
    seed: int | None = None
    offering: str | None = Field(None, description="Only for keys with the scope operator.")
    provider: str | None = Field(None, description="Only for keys with the scope operator.")
    passed: bool | None = None
    score: float | None = None
    rank: int | None = None
    reasons: list[str] = []
    dimensions: list[dict[str, Any]] = []
    width: int | None = None
    height: int | None = None
    set_aside_reason: str | None = None
    set_aside_like: str | None = None
    output_id: str | None = None


class CandidateList(Answer):
    """A page of candidates by round and index."""

    candidates: list[CandidateAnswer]
    next_cursor: str | None


class OutputAnswer(Answer):
    """An output with fresh links; a link is a secret until it ends."""

    output_id: str
    candidate_id: str
    rank: int
    score: float
    content_type: str
    width: int
    height: int
    size_bytes: int
    sha256: str
    url: str | None
    thumbnail_url: str | None
    expires_in_s: int | None


class OutputList(Answer):
    """The outputs of a task by rank."""

    task_id: str
    state: TaskState
    outputs: list[OutputAnswer]


class EntryAnswer(Answer):
    """An entry of the books; micro-credits, with the balances after it."""

    entry_id: str
    kind: EntryKind
    amount_credits_micro: int
    occurred_at: datetime
    task_id: str | None
    grant_id: str | None
    reason: str
    available_credits_micro: int
    held_credits_micro: int


class EntryList(Answer):
    """A page of entries, newest first."""

    entries: list[EntryAnswer]
    next_cursor: str | None


class BillRouteAnswer(RouteAnswer):
    """A route with what each candidate that passed cost there."""

    cost_per_accepted_usd_micro: int | None


class MarginAnswer(Answer):
    """For operators: what is left of the charge after the provider cost."""

    credit_value_usd_micro: int
    margin_usd_micro: int


class BillAnswer(Answer):
    """The explained bill: promised, delivered, charged, and why."""

    task_id: str
    state: TaskState
    is_final: bool
    promised_count: int
    delivered_count: int
    price_per_output_credits_micro: int
    price_rule: str
    reserved_credits_micro: int
    charged_credits_micro: int
    released_credits_micro: int
    refunded_credits_micro: int
    expected_cost_usd_micro: int | None = Field(None, description="Only for keys with the scope operator.")
    actual_cost_usd_micro: int | None = Field(None, description="Only for keys with the scope operator.")
    cost_cap_usd_micro: int | None = Field(None, description="Only for keys with the scope operator.")
    attempts_count: int | None = Field(None, description="Only for keys with the scope operator.")
    cost_per_delivered_usd_micro: int | None = Field(
        None, description="Only for keys with the scope operator."
    )
    routes: list[BillRouteAnswer] | None = Field(None, description="Only for keys with the scope operator.")
    entries: list[EntryAnswer]
    explanation: list[str]
    margin: MarginAnswer | None = Field(None, description="Only for keys with the scope operator.")


class CancelAnswer(Answer):
    """Result of a cancel so far; ``released_credits_micro`` is null until the ledger has answered."""

    task_id: str
    state: TaskState
    complete: bool
    released_credits_micro: int | None
    charged_credits_micro: int | None
    detail: str

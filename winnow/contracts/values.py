"""Values that several events and commands carry."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from winnow.contracts.envelope import Value
from winnow.contracts.ids import CandidateId, OutputId
from winnow.contracts.money import Micro, SignedMicro

Count = Annotated[int, Field(ge=0)]
LINK_MAX_S: Final = 900
"""Longest life of a presigned link: 15 minutes. Source: the security rules for signed links."""
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Mode(StrEnum):
    """Trade between price, speed and sameness that a client wants."""

    stable = "stable"
    fast = "fast"
    low_cost = "low_cost"


class OutcomeClass(StrEnum):
    """Outcome of an attempt; only the three after ``succeeded`` may be tried again."""

    succeeded = "succeeded"
    never_delivered = "never_delivered"
    rejected_without_work = "rejected_without_work"
    collectable = "collectable"
    outcome_unknown = "outcome_unknown"


class MeasureStatus(StrEnum):
    """Status of a measure (the contract of ISO/IEC 29794-5)."""

    ok = "ok"
    failure_to_assess = "failure_to_assess"
    not_applicable = "not_applicable"
    unavailable = "unavailable"


class RoundDecision(StrEnum):
    """Decision of the router after a round."""

    select = "select"
    regenerate = "regenerate"
    stop = "stop"


class EntryKind(StrEnum):
    """Kind of a ledger entry."""

    grant = "grant"
    reserve = "reserve"
    settle = "settle"
    release = "release"
    refund = "refund"
    expire_reservation = "expire_reservation"
    expire_grant = "expire_grant"
    cost_variance = "cost_variance"


class Unit(StrEnum):
    """The unit of a posting."""

    credits_micro = "credits_micro"
    usd_micro = "usd_micro"


class StoredObject(Value):
    """A file in the object store, by reference: media never travels on the bus."""

    bucket: str
    key: str
    sha256: Sha256
    size_bytes: Count
    content_type: str
    width: Count = 0
    height: Count = 0


class ProfileRef(Value):
    """A quality profile, pinned by version."""

    name: str
    version: Annotated[int, Field(ge=1)]


class TemplateRef(Value):
    """A template, pinned by version."""

    name: str
    version: Annotated[int, Field(ge=1)]


class PlannedCandidate(Value):
    """A candidate that is to be generated; id and seed are derived from task, round and index."""

    candidate_id: CandidateId
    index: Count
    seed: Count


class Alternative(Value):
    """An offering that was weighed for an attempt, and why it was or was not chosen."""

    offering: str
    provider: str
    price_usd_micro: Micro
    effective_price_usd_micro: Micro
    pass_rate_ppm: Count
    success_rate_ppm: Count
    chosen: bool
    reason: str


class GeneratedCandidate(Value):
    """A candidate whose bytes are stored."""

    candidate_id: CandidateId
    stored: StoredObject
    seed: Count


class FailedCandidate(Value):
    """A candidate that could not be generated, with a stable reason code."""

    candidate_id: CandidateId
    reason: str


class Dimension(Value):
    """One measured dimension of a candidate.

    ``score`` lies in 0..100 and is null unless ``status`` is ``ok``. ``evidence`` holds numbers and short
    words for the audit (boxes, landmarks, exposure values), never text of the client.
    """

    name: str
    tier: Annotated[int, Field(ge=1, le=3)]
    status: MeasureStatus
    raw: float | None = None
    score: float | None = None
    threshold: float | None = None
    required: bool
    passed: bool
    evidence: dict[str, float | int | str] = {}


class ScoredCandidate(Value):
    """A candidate's verdict: it passes only if every required dimension does."""

    candidate_id: CandidateId
    passed: bool
    score: Annotated[float, Field(ge=0, le=100)]
    dimensions: list[Dimension]
    reasons: list[str] = []
    perceptual_hash: str | None = None


class SelectedCandidate(Value):
    """A passed candidate that was chosen, with its place in the order."""

    candidate_id: CandidateId
    rank: Annotated[int, Field(ge=1)]
    score: float
    stored: StoredObject


class SetAsideCandidate(Value):
    """A passed candidate that was not chosen: ``near_duplicate`` (then ``like`` names the kept one) or ``surplus``."""

    candidate_id: CandidateId
    reason: str
    like: CandidateId | None = None


class Output(Value):
    """A delivered item: the finished file and its thumbnail."""

    output_id: OutputId
    candidate_id: CandidateId
    rank: Annotated[int, Field(ge=1)]
    score: float
    stored: StoredObject
    thumbnail: StoredObject


class Posting(Value):
    """One line of an entry: an account of the books, an amount with its sign, a unit."""

    account: str
    amount_micro: SignedMicro
    unit: Unit


class LotSlice(Value):
    """The part of a grant that an entry moved."""

    grant_id: str
    amount_credits_micro: Micro


class ProviderCost(Value):
    """Cost of a task at providers: expected when chosen, actual when billed, by the attempts so far."""

    expected_usd_micro: Micro = 0
    actual_usd_micro: Micro = 0
    attempts_count: Count = 0


class RouteLine(Value):
    """One provider's part in a task, as the explained bill shows it."""

    offering: str
    provider: str
    attempts_count: Count
    candidates_count: Count
    passed_count: Count
    expected_cost_usd_micro: Micro
    actual_cost_usd_micro: Micro

"""Events of other services, as a test tells them."""

from __future__ import annotations

from tests.support.builders.task_ids import TaskIds
from winnow.contracts.errors import ErrorCode
from winnow.contracts.events import (
    AttemptFinished,
    AttemptSubmitted,
    CandidatesGenerated,
    CandidatesScored,
    EntryRecorded,
    RefundRefused,
    RoundClosed,
    RoundPlanned,
    TaskDelivered,
    TaskEvent,
    TaskFunded,
    TaskSelected,
    TaskSettled,
    TaskUnfunded,
)
from winnow.contracts.ids import Prefix, derive_id, refund_entry_id
from winnow.contracts.values import (
    Dimension,
    EntryKind,
    GeneratedCandidate,
    MeasureStatus,
    OutcomeClass,
    Output,
    PlannedCandidate,
    ProfileRef,
    ProviderCost,
    RoundDecision,
    ScoredCandidate,
    SelectedCandidate,
    StoredObject,
)

PROFILE = ProfileRef(name="headshot", version=1)
SHA = "a" * 64
OFFERING = "fal/flux-1.1"


class Tale:
    """The events of one task of two candidates, of which the first passes."""

    def __init__(self, task_id: str, account_id: str = "acct_one") -> None:
        self.ids = TaskIds(task_id=task_id, account_id=account_id)
        self.reservation_id = derive_id(Prefix.reservation, task_id)
        self.first = derive_id(Prefix.candidate, task_id, 0, 0)
        self.second = derive_id(Prefix.candidate, task_id, 0, 1)
        self.attempt = derive_id(Prefix.attempt, task_id)
        self.output = derive_id(Prefix.output, task_id)

    def stored(self, name: str) -> StoredObject:
        return StoredObject(
            bucket="winnow-private",
            key=f"candidates/{name}",
            sha256=SHA,
            size_bytes=10,
            content_type="image/png",
            width=64,
            height=64,
        )

    def funded(self) -> TaskFunded:
        return TaskFunded(**self.ids, reservation_id=self.reservation_id, reserved_credits_micro=4_000_000)

    def unfunded(self) -> TaskUnfunded:
        return TaskUnfunded(
            **self.ids,
            reservation_id=self.reservation_id,
            code=ErrorCode.insufficient_credits,
            shortfall_credits_micro=7,
        )

    def planned(self) -> RoundPlanned:
        candidates = [
            PlannedCandidate(candidate_id=candidate, index=index, seed=index)
            for index, candidate in enumerate((self.first, self.second))
        ]
        return RoundPlanned(
            **self.ids,
            round_index=0,
            candidates=candidates,
            wanted_count=1,
            assumed_pass_rate_ppm=500_000,
            reason="first",
        )

    def submitted(self) -> AttemptSubmitted:
        return AttemptSubmitted(
            **self.ids,
            attempt_id=self.attempt,
            round_index=0,
            candidate_ids=[self.first, self.second],
            offering=OFFERING,
            provider="fal",
            try_number=1,
            expected_cost_usd_micro=100,
            alternatives=[],
        )

    def finished(self) -> AttemptFinished:
        return AttemptFinished(
            **self.ids,
            attempt_id=self.attempt,
            round_index=0,
            offering=OFFERING,
            provider="fal",
            outcome=OutcomeClass.succeeded,
            provider_reference="secret-reference",
            expected_cost_usd_micro=100,
            actual_cost_usd_micro=90,
            latency_ms=5,
        )

    def generated(self) -> CandidatesGenerated:
        candidates = [
            GeneratedCandidate(candidate_id=candidate, stored=self.stored(candidate), seed=index)
            for index, candidate in enumerate((self.first, self.second))
        ]
        return CandidatesGenerated(
            **self.ids, attempt_id=self.attempt, round_index=0, offering=OFFERING, candidates=candidates
        )

    def scored(self) -> CandidatesScored:
        blurred = Dimension(
            name="sharpness", tier=1, status=MeasureStatus.ok, raw=1.5, score=12.0, threshold=40.0,
            required=True, passed=False, evidence={"laplacian.variance": 1.5},
        )  # fmt: skip
        candidates = [
            ScoredCandidate(candidate_id=self.first, passed=True, score=90.5, dimensions=[]),
            ScoredCandidate(
                candidate_id=self.second,
                passed=False,
                score=12.0,
                dimensions=[blurred],
                reasons=["sharpness"],
            ),
        ]
        return CandidatesScored(
            **self.ids,
            chunk_id=derive_id(Prefix.chunk, self.ids["task_id"]),
            round_index=0,
            profile=PROFILE,
            profile_sha256=SHA,
            scorer_version="1",
            models={},
            candidates=candidates,
        )

    def closed(self) -> RoundClosed:
        return RoundClosed(
            **self.ids,
            round_index=0,
            generated_count=2,
            passed_count=1,
            failed_count=0,
            passed_total_count=1,
            decision=RoundDecision.select,
            reason="enough",
        )

    def selected(self) -> TaskSelected:
        chosen = SelectedCandidate(
            candidate_id=self.first, rank=1, score=90.5, stored=self.stored(self.first)
        )
        return TaskSelected(
            **self.ids,
            k=2,
            profile=PROFILE,
            selected=[chosen],
            set_aside=[],
            reason="best_k",
            reservation_id=self.reservation_id,
            price_per_output_credits_micro=2_000_000,
            reserved_credits_micro=4_000_000,
            cost=ProviderCost(expected_usd_micro=100, actual_usd_micro=90, attempts_count=1),
        )

    def delivered(self) -> TaskDelivered:
        output = Output(
            output_id=self.output,
            candidate_id=self.first,
            rank=1,
            score=90.5,
            stored=self.stored("out"),
            thumbnail=self.stored("thumb"),
        )
        return TaskDelivered(**self.ids, outputs=[output])

    def settled(self) -> TaskSettled:
        return TaskSettled(
            **self.ids,
            reservation_id=self.reservation_id,
            reserved_credits_micro=4_000_000,
            settled_credits_micro=2_000_000,
            released_credits_micro=2_000_000,
            delivered_count=1,
            price_per_output_credits_micro=2_000_000,
            cost=ProviderCost(expected_usd_micro=100, actual_usd_micro=90, attempts_count=1),
            reason="delivered",
        )

    def entry(self, kind: EntryKind, amount: int, grant_id: str | None = None) -> EntryRecorded:
        return EntryRecorded(
            entry_id=derive_id(Prefix.entry, self.ids["task_id"], kind.value, amount, grant_id or ""),
            account_id=self.ids["account_id"],
            kind=kind,
            amount_credits_micro=amount,
            postings=[],
            task_id=None if grant_id else self.ids["task_id"],
            grant_id=grant_id,
            available_credits_micro=0,
            held_credits_micro=0,
        )

    def refunded(self, refund_id: str, amount: int) -> EntryRecorded:
        """Return the entry that the ledger books for a refund."""
        entry_id = refund_entry_id(self.ids["account_id"], refund_id)
        return self.entry(EntryKind.refund, amount).model_copy(update={"entry_id": entry_id})

    def refund_refused(self, refund_id: str, amount: int) -> RefundRefused:
        """Return the ledger's refusal of a refund."""
        return RefundRefused(
            refund_id=refund_id,
            account_id=self.ids["account_id"],
            task_id=self.ids["task_id"],
            reservation_id=self.reservation_id,
            amount_credits_micro=amount,
            code=ErrorCode.amount_not_allowed,
            reason="more than is left of the charge",
        )

    def whole(self) -> list[tuple[str, TaskEvent]]:
        """Return the task's events after its acceptance, with their producers."""
        return [
            ("ledger", self.funded()),
            ("router", self.planned()),
            ("router", self.submitted()),
            ("router", self.finished()),
            ("router", self.generated()),
            ("scorer", self.scored()),
            ("router", self.closed()),
            ("router", self.selected()),
            ("delivery", self.delivered()),
            ("ledger", self.settled()),
        ]

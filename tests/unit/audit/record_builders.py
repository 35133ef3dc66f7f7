"""The record of one task and its account, as its services would write it, and edits of it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.unit.audit.chain_builders import PROFILE_REF, PROFILES, SHA256, raw_of
from winnow.audit.fold import RecordFold
from winnow.contracts.envelope import Envelope, Event, Message, RecordedMessage
from winnow.contracts.events import (
    CandidatesScored,
    EntryRecorded,
    RoundPlanned,
    TaskAccepted,
    TaskDelivered,
    TaskFunded,
    TaskSelected,
    TaskSettled,
)
from winnow.contracts.ids import Prefix, derive_id
from winnow.contracts.values import (
    Dimension,
    EntryKind,
    MeasureStatus,
    Mode,
    Output,
    PlannedCandidate,
    Posting,
    ProviderCost,
    ScoredCandidate,
    SelectedCandidate,
    StoredObject,
    TemplateRef,
    Unit,
)

ACCOUNT = "acct_a"
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
TASK = derive_id(Prefix.task, "t")
RESERVATION = derive_id(Prefix.reservation, TASK)
GOOD, BAD = derive_id(Prefix.candidate, "good"), derive_id(Prefix.candidate, "bad")
PROFILE = PROFILE_REF
STORED = StoredObject(bucket="b", key="k", sha256="0" * 64, size_bytes=1, content_type="image/jpeg")
PRICE = 100
SLACK_S, DEADLINE = 60, NOW + timedelta(minutes=5)
AVAILABLE, HELD = f"customer:{ACCOUNT}:available", f"customer:{ACCOUNT}:held"
Edit = Callable[[Message], Message]


def entry(
    kind: EntryKind, amount: int, moves: dict[str, int], after: tuple[int, int], task: bool = True
) -> EntryRecorded:
    return EntryRecorded(
        entry_id=derive_id(Prefix.entry, kind.value),
        account_id=ACCOUNT,
        kind=kind,
        amount_credits_micro=amount,
        postings=[
            Posting(account=name, amount_micro=moved, unit=Unit.credits_micro)
            for name, moved in moves.items()
        ],
        task_id=TASK if task else None,
        available_credits_micro=after[0],
        held_credits_micro=after[1],
    )


def sharpness(score: float) -> Dimension:
    return Dimension(
        name="sharpness",
        tier=1,
        status=MeasureStatus.ok,
        raw=raw_of(score),
        score=score,
        threshold=50,
        required=True,
        passed=score >= 50,
    )


def task_messages() -> list[tuple[str, str, Event]]:
    about: dict[str, Any] = {"task_id": TASK, "account_id": ACCOUNT}
    output = Output(
        output_id=derive_id(Prefix.output, "o"),
        candidate_id=GOOD,
        rank=1,
        score=90,
        stored=STORED,
        thumbnail=STORED,
    )
    scored = [
        ScoredCandidate(candidate_id=GOOD, passed=True, score=90, dimensions=[sharpness(90)]),
        ScoredCandidate(
            candidate_id=BAD,
            passed=False,
            score=10,
            dimensions=[sharpness(10)],
            reasons=["sharpness:below_threshold"],
        ),
    ]
    accepted = TaskAccepted(
        **about,
        template=TemplateRef(name="t", version=1),
        mode=Mode.fast,
        profile=PROFILE,
        k=1,
        request=STORED,
        request_sha256="0" * 64,
        width=8,
        height=8,
        reservation_id=RESERVATION,
        price_per_output_credits_micro=PRICE,
        reserve_credits_micro=PRICE,
        price_rule="r",
        cost_cap_usd_micro=5,
        deadline_at=DEADLINE,
        deadline_slack_s=SLACK_S,
    )
    planned = [
        PlannedCandidate(candidate_id=candidate, index=index, seed=1)
        for index, candidate in enumerate((GOOD, BAD))
    ]
    return [
        ("ingest", TASK, accepted),
        ("ledger", ACCOUNT, TaskFunded(**about, reservation_id=RESERVATION, reserved_credits_micro=PRICE)),
        (
            "router",
            TASK,
            RoundPlanned(
                **about,
                round_index=0,
                candidates=planned,
                wanted_count=1,
                assumed_pass_rate_ppm=1,
                reason="r",
            ),
        ),
        (
            "scorer",
            "",
            CandidatesScored(
                **about,
                chunk_id=derive_id(Prefix.chunk, "c"),
                round_index=0,
                profile=PROFILE,
                profile_sha256=SHA256,
                scorer_version="1",
                models={},
                candidates=scored,
            ),
        ),
        (
            "router",
            TASK,
            TaskSelected(
                **about,
                k=1,
                profile=PROFILE,
                selected=[SelectedCandidate(candidate_id=GOOD, rank=1, score=90, stored=STORED)],
                set_aside=[],
                reason="r",
                reservation_id=RESERVATION,
                price_per_output_credits_micro=PRICE,
                reserved_credits_micro=PRICE,
                cost=ProviderCost(),
            ),
        ),
        ("delivery", TASK, TaskDelivered(**about, outputs=[output])),
        (
            "ledger",
            ACCOUNT,
            TaskSettled(
                **about,
                reservation_id=RESERVATION,
                reserved_credits_micro=PRICE,
                settled_credits_micro=PRICE,
                released_credits_micro=0,
                delivered_count=1,
                price_per_output_credits_micro=PRICE,
                cost=ProviderCost(),
                reason="delivered",
            ),
        ),
    ]


def account_messages() -> list[tuple[str, str, Event]]:
    entries = [
        entry(EntryKind.grant, 1000, {"house:grants:promo": -1000, AVAILABLE: 1000}, (1000, 0), task=False),
        entry(EntryKind.reserve, PRICE, {AVAILABLE: -PRICE, HELD: PRICE}, (900, 100)),
        entry(EntryKind.settle, PRICE, {HELD: -PRICE, "house:revenue": PRICE}, (900, 0)),
    ]
    return [("ledger", ACCOUNT, message) for message in entries]


ORDER_OF_THE_LEDGER = ("grant", "reserve", "task.funded", "settle", "task.settled")


def _recorded(messages: list[tuple[str, str, Event]]) -> list[RecordedMessage[Message]]:
    """Number the events as their producers would: the ledger writes one sequence into both topics."""
    counts: dict[tuple[str, str], int] = {}
    found: list[RecordedMessage[Message]] = []
    for ordinal, (producer, subject, message) in enumerate(messages):
        name = message.kind.value if isinstance(message, EntryRecorded) else message.type
        if producer == "ledger":
            sequence = ORDER_OF_THE_LEDGER.index(name) + 1
        elif producer == "scorer":
            sequence = 0
        else:
            sequence = counts[producer, subject] = counts.get((producer, subject), 0) + 1
        envelope = Envelope(
            event_id=derive_id(Prefix.event, producer, name, ordinal),
            occurred_at=NOW,
            producer=producer,
            subject=subject or "chunk",
            sequence=sequence,
            correlation_id="c",
            causation_id="c",
        )
        found.append(RecordedMessage(envelope, message))
    return found


def story() -> tuple[list[RecordedMessage[Message]], list[RecordedMessage[Message]]]:
    """Return the records of a task that was delivered, by topic."""
    return _recorded(task_messages()), _recorded(account_messages())


def folded(records: list[RecordedMessage[Message]]) -> RecordFold:
    fold = RecordFold(PROFILES)
    for record in records:
        fold.take(record)
    return fold


def checks(records: list[RecordedMessage[Message]], now: datetime = NOW) -> set[str]:
    return {finding.check for finding in folded(records).findings(now)}


def edited(
    records: list[RecordedMessage[Message]], kind: type[Message], **changes: Any
) -> list[RecordedMessage[Message]]:
    return [
        RecordedMessage(record.envelope, record.message.model_copy(update=changes))
        if isinstance(record.message, kind)
        else record
        for record in records
    ]


def said(records: list[RecordedMessage[Message]]) -> dict[str, str]:
    """Return the text of each finding by its check."""
    return {finding.check: finding.text for finding in folded(records).findings(NOW)}

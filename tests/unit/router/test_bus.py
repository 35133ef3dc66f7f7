"""Records of the bus as a run's messages, and the sameness of two of them."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace

from services.router.bus import table
from tests.unit.router.builders import NOW, accepted, market, scored, scored_candidate
from winnow.contracts.envelope import Envelope, RecordedMessage
from winnow.contracts.ids import Prefix, derive_id

TABLE = table(SimpleNamespace(observed=lambda recorded: recorded.message))  # type: ignore[arg-type]


def recorded(*, passed: bool, seconds: int) -> RecordedMessage:
    candidate = scored_candidate(derive_id(Prefix.candidate, 1), passed=passed)
    event = scored(accepted(), market(), derive_id(Prefix.chunk, 1), [candidate]).event
    envelope = Envelope(
        event_id=derive_id(Prefix.event, "verdict"),
        occurred_at=NOW + timedelta(seconds=seconds),
        producer="scorer",
        subject=event.task_id,
        sequence=0,
        correlation_id="request",
        causation_id="command",
    )
    return RecordedMessage(envelope, event)


def fingerprint(*, passed: bool = True, seconds: int = 0) -> str:
    event = recorded(passed=passed, seconds=seconds)
    input_ = TABLE["candidates.scored"](event, f"of the body at {seconds}")
    assert input_ is not None
    return input_.fingerprint


def test_a_verdict_that_was_given_again_later_is_a_repeat():
    """The scorer keeps no state: what it scores twice has one id and two times."""
    assert fingerprint() == fingerprint(seconds=9)


def test_another_verdict_under_the_same_id_is_a_clash():
    assert fingerprint() != fingerprint(passed=False)

"""The back-off of retries: bounds, growth, and jitter that is derived."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from winnow.runtime.backoff import Backoff, jittered_s

FIRST = st.floats(0.001, 10.0)
FACTOR = st.floats(1.0, 1000.0)


@given(holder=st.text(), first_s=FIRST, factor=FACTOR, attempts=st.integers(1, 200))
def test_a_wait_lies_between_half_and_all_of_its_step(
    holder: str, first_s: float, factor: float, attempts: int
) -> None:
    backoff = Backoff(holder, first_s, first_s * factor)
    for attempt in range(attempts):
        step_s = min(first_s * 2.0**attempt, first_s * factor)
        assert step_s / 2 <= backoff.next_s() <= step_s


@given(holder=st.text(), first_s=FIRST)
def test_waits_grow_until_the_limit(holder: str, first_s: float) -> None:
    backoff = Backoff(holder, first_s, first_s * 2**10)
    waits = [backoff.next_s() for _ in range(11)]
    assert waits == sorted(waits)


@given(holder=st.text(), first_s=FIRST, attempts=st.integers(1, 20))
def test_the_same_holder_waits_the_same_after_a_success(holder: str, first_s: float, attempts: int) -> None:
    backoff = Backoff(holder, first_s, 60.0)
    waits = [backoff.next_s() for _ in range(attempts)]
    backoff.reset()
    assert [backoff.next_s() for _ in range(attempts)] == waits


def test_holders_that_failed_together_part() -> None:
    first_waits = [Backoff(f"ledger-{number}", 1.0, 30.0).next_s() for number in range(1000)]
    assert len(set(first_waits)) > 990
    tenths = [sum(0.5 + n / 20 <= wait < 0.5 + (n + 1) / 20 for wait in first_waits) for n in range(10)]
    assert min(tenths) > 50


def test_attempts_of_a_holder_differ_in_their_jitter() -> None:
    assert len({jittered_s(1.0, "ledger-0", attempt) for attempt in range(100)}) == 100


def test_a_loop_that_never_succeeds_stays_within_the_limit() -> None:
    backoff = Backoff("ledger-0", 0.1, 5.0, attempt=10**6)
    assert 2.5 <= backoff.next_s() <= 5.0

"""A process that fails is started again after a wait that grows, and given up after repeated failure."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.local.restarts import NO_RESTARTS, Failure, GiveUp, Restart, RestartPolicy, decide

PLAIN = RestartPolicy(first_wait_s=1.0, wait_max_s=10.0, jitter_share=0.0, healthy_s=60.0, failures_max=7)


def waits(policy: RestartPolicy, name: str = "router") -> list[float]:
    """Fail again and again until the end."""
    seconds: list[float] = []
    failures = 0
    while isinstance(decision := decide(policy, Failure(name, failures, None)), Restart):
        seconds.append(decision.wait_s)
        failures = decision.failures
    return seconds


def test_the_wait_doubles_up_to_its_cap_and_the_last_failure_is_the_end() -> None:
    assert waits(PLAIN) == [1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    assert decide(PLAIN, Failure("router", 6, None)) == GiveUp(7)


def test_a_healthy_time_begins_a_new_row_and_a_short_one_does_not() -> None:
    assert decide(PLAIN, Failure("router", 5, 60.0)) == Restart(1, 1.0)
    assert decide(PLAIN, Failure("router", 5, 59.9)) == Restart(6, 10.0)
    assert decide(PLAIN, Failure("router", 6, 59.9)) == GiveUp(7)
    assert decide(PLAIN, Failure("router", 6, 60.0)) == Restart(1, 1.0)


def test_processes_that_fail_together_come_back_apart_and_always_alike() -> None:
    policy = RestartPolicy()
    first = {name: waits(policy, name) for name in ("ingest", "ledger", "router", "scorer", "delivery")}
    assert len({seconds[0] for seconds in first.values()}) == 5
    assert first == {name: waits(policy, name) for name in first}


def test_without_restarts_the_first_failure_is_the_end() -> None:
    assert decide(NO_RESTARTS, Failure("router", 0, None)) == GiveUp(1)
    assert decide(NO_RESTARTS, Failure("router", 0, 3600.0)) == GiveUp(1)


@given(
    name=st.text(max_size=20),
    before=st.integers(0, 10_000),
    ready_for_s=st.none() | st.floats(0, 1e6),
    most=st.integers(2, 10_001),
)
def test_every_wait_is_bounded(name: str, before: int, ready_for_s: float | None, most: int) -> None:
    policy = RestartPolicy(failures_max=most)
    decision = decide(policy, Failure(name, before, ready_for_s))
    if isinstance(decision, GiveUp):
        assert decision.failures >= most
        assert before + 1 >= most
    else:
        assert decision.failures < most
        assert policy.first_wait_s * (1 - policy.jitter_share) <= decision.wait_s <= policy.wait_max_s
        assert decide(policy, Failure(name, before, ready_for_s)) == decision


@pytest.mark.parametrize("before", range(5))
def test_a_share_is_taken_from_the_wait_and_never_added(before: int) -> None:
    plain, spread = (RestartPolicy(jitter_share=share) for share in (0.0, 0.2))
    full, less = (decide(policy, Failure("ledger", before, None)) for policy in (plain, spread))
    assert isinstance(full, Restart)
    assert isinstance(less, Restart)
    assert 0.8 * full.wait_s < less.wait_s <= full.wait_s

"""The loop that renews a lease."""

from __future__ import annotations

import pytest

from tests.support.clock import SetClock
from winnow.contracts.errors import Unavailable
from winnow.runtime import lease
from winnow.runtime.lease import LEASE_S, LeaseRefused, keep_renewed, lease_end_s


def test_a_lease_outlives_two_renewals_that_fail() -> None:
    clock = SetClock()
    assert lease_end_s(clock) == clock.now().timestamp() + LEASE_S
    assert LEASE_S >= 3 * lease._RENEW_S


async def test_a_renewal_is_tried_again_until_the_lease_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "_RENEW_S", 0.0)
    answers = iter([None, Unavailable("away"), None, Unavailable("away"), LeaseRefused("lost")])

    async def renew() -> None:
        answer = next(answers)
        if answer is not None:
            raise answer

    with pytest.raises(LeaseRefused, match="lost"):
        await keep_renewed(renew, "test.renewal_failed")
    assert next(answers, None) is None


async def test_a_failure_that_is_not_the_stores_ends_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "_RENEW_S", 0.0)

    async def renew() -> None:
        raise ValueError("a bug")

    with pytest.raises(ValueError, match="a bug"):
        await keep_renewed(renew, "test.renewal_failed")

"""Lifetimes of links to outputs."""

from __future__ import annotations

import pytest

from services.delivery.domain.outputs import link_life_s
from winnow.contracts.errors import ErrorCode, Refused


@pytest.mark.parametrize(("asked_s", "life_s"), [(0, 300), (1, 1), (900, 900)])
def test_a_link_lives_as_asked_within_bounds(asked_s, life_s):
    assert link_life_s(asked_s) == life_s


@pytest.mark.parametrize("asked_s", [901, 86_400])
def test_a_link_that_would_live_too_long_is_refused(asked_s):
    with pytest.raises(Refused) as refused:
        link_life_s(asked_s)
    assert refused.value.code is ErrorCode.out_of_bounds

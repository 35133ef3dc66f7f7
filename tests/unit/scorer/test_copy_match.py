"""Words ordered against words read: distances that can be counted by hand."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scorer.domain.copy_match import copy_match, nearest_stretch


@pytest.mark.parametrize(
    ("copy", "read", "distance", "extra"),
    [
        ("SUMMER SALE", "SUMMER SALE", 0, 0),
        ("Summer sale!", "SUMMERSALE", 0, 0),
        ("Été", "ETE", 0, 0),
        ("SUMMER SALE", "SUNMER SALE", 1 / 10, 0),
        ("SUMMER SALE", "SUMMER", 4 / 10, 0),
        ("SUMMER SALE", "", 1, 0),
        ("SALE", "SALE ACME", 0, 4 / 4),
        ("FIRST\nSECOND", "SECOND FIRST", 0, 0),
        ("SALE\nSALE", "SALE", 4 / 8, 0),
        ("50% OFF", "50 % OFF", 0, 0),
    ],
)  # fmt: skip
def test_distance_and_extra_are_letters_over_the_letters_of_the_copy(
    copy: str, read: str, distance: float, extra: float
) -> None:
    found = copy_match(copy, read)
    assert found is not None
    assert (found.distance, found.extra) == pytest.approx((distance, extra))


def test_a_line_is_found_when_half_of_it_was_read() -> None:
    found = copy_match("MORNING BREW\nOPEN LATE", "MORNING BREV XXXX")
    assert found is not None
    assert sorted(found.found) == [False, True]


@pytest.mark.parametrize("copy", ["", "   \n ", "!?%", "a" * 401])
def test_copy_without_letters_or_beyond_the_limit_is_not_compared(copy: str) -> None:
    assert copy_match(copy, "SALE") is None


@pytest.mark.parametrize(
    ("line", "text", "distance", "stretch"),
    [
        ("sale", "bigsaletoday", 0, "sale"),
        ("sale", "bigsaltoday", 1, "sal"),
        ("sale", "", 4, ""),
        ("abc", "xxabxcxx", 1, "abxc"),
    ],
)
def test_nearest_stretch(line: str, text: str, distance: int, stretch: str) -> None:
    found, start, end = nearest_stretch(line, text)
    assert found == distance
    assert text[start:end] in {stretch, "ab"}


@given(st.text("ab", min_size=1, max_size=8), st.text("ab", max_size=12), st.text("ab", max_size=12))
def test_what_stands_in_a_text_is_at_distance_0_and_nothing_is_farther_than_its_length(
    line: str, before: str, after: str
) -> None:
    assert nearest_stretch(line, before + line + after)[0] == 0
    assert nearest_stretch(line, before + after)[0] <= len(line)

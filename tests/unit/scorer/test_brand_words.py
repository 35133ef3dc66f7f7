"""Word lists find what was read with an error or two, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scorer.clients.profiles import parse_profile
from services.scorer.clients.rules import CelRules
from services.scorer.domain import Measured, Measurement, vocabulary
from services.scorer.domain.brand_words import distance, found_in
from services.scorer.domain.verdict import values_of
from services.scorer.domain.vocabulary import Type
from winnow.contracts.values import MeasureStatus


@pytest.mark.parametrize(
    ("listed", "read", "found"),
    [
        ("yamaha", ["YAMAHA"], True),
        ("Yamaha", ["YAMARA"], True),
        ("yamaha", ["YAWANA"], True),
        ("yamaha", ["YELLOW"], False),
        ("nike", ["Nike"], True),
        ("nike", ["like"], False),
        ("pepsi", ["PEPSl", "cold"], True),
        ("Acme Coffee", ["fresh", "ACME", "COFFEE"], True),
        ("Acme Coffee", ["ACMECOFFEE"], True),
        ("Acme Coffee", ["ACME", "COF", "FEE"], True),
        ("Acme Coffee", ["COFFEE"], False),
        ("Crème", ["creme"], True),
        ("H&M", ["H", "M"], True),
        ("acme", [], False),
        ("acme", ["--", "..."], False),
    ],
)
def test_words_match_within_what_reading_errs(listed: str, read: list[str], found: bool) -> None:
    assert (found_in([listed], read) == [listed]) is found


def test_a_list_may_set_its_own_distance() -> None:
    assert found_in(["yamaha"], ["yamara"], 0) == []
    assert found_in(["nike"], ["nikc"], 1) == ["nike"]


@given(st.text("abc", max_size=8), st.text("abc", max_size=8))
def test_distance_is_symmetric_and_cut(left: str, right: str) -> None:
    whole = distance(left, right, 8)
    assert whole == distance(right, left, 8)
    assert (whole == 0) is (left == right)
    assert whole >= abs(len(left) - len(right))
    for at_most in range(8):
        assert distance(left, right, at_most) == min(whole, at_most + 1)


PROFILE = """
name: mine
version: 1
dimensions:
  - {name: decodable, tier: 1, mapping: {exactly: 1}}
  - {name: sharpness, tier: 1, mapping: {rises_at: 0.6}}
word_lists:
  - {name: brand, words: [yamaha, nike]}
rules:
  - {name: no_brand, expression: "brand.words.size() == 0"}
"""


def test_a_rule_on_a_word_list_holds_fails_or_is_undecided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(vocabulary.EVIDENCE, "sharpness", {"seen": Type.words})
    rules = CelRules()
    profile = parse_profile(PROFILE, rules)

    def outcome(status: MeasureStatus, seen: str) -> bool | None:
        measured = Measured((Measurement("sharpness", status, 1.0, {"seen": seen}),))
        return rules.evaluate(profile.rules[0].expression, values_of(profile, measured)).holds

    assert outcome(MeasureStatus.ok, "a YAMARA sign") is False
    assert outcome(MeasureStatus.ok, "") is True
    assert outcome(MeasureStatus.unavailable, "") is None


def test_a_word_list_without_a_reader_of_text_is_refused() -> None:
    with pytest.raises(ValueError, match="a word list needs a dimension that reads text"):
        parse_profile(PROFILE, CelRules())

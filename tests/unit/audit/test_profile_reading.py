"""Profiles as the audit reads them: the hash, rules, maps and scores of the scorer."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scorer.domain.published import PUBLISHED
from tests.unit.audit.judged import AT_HAND, CATALOG, pinned
from winnow.audit.profiles import ProfileUnreadable, parse_profile, read_profiles


def test_every_shipped_profile_has_the_hash_and_the_rules_of_the_scorer() -> None:
    assert AT_HAND.keys() == {profile.sha256 for profile in CATALOG.all()}
    for theirs in CATALOG.all():
        ours = pinned(theirs)
        assert (ours.ref.name, ours.ref.version) == (theirs.name, theirs.version)
        assert ours.rules.keys() == {rule.name for rule in theirs.dimensions} | {
            rule.name for rule in theirs.rules
        }


@given(st.floats(allow_nan=True, allow_infinity=False), st.integers(0, 10_000))
def test_every_map_gives_the_scores_of_the_scorer(far: float, near: int) -> None:
    for theirs in CATALOG.all():
        for rule in theirs.dimensions:
            ours = pinned(theirs).rules[rule.name].map
            around = rule.mapping.x0 + (near / 1000 - 5) * rule.mapping.w
            for raw in (far, around, rule.mapping.exactly or 0.0):
                assert ours.score(raw) == rule.mapping.score(raw)


def test_the_maps_of_dimensions_without_one_are_those_of_the_scorer() -> None:
    lines = [f"  - {{name: {name}, tier: 2}}" for name in PUBLISHED]
    profile = parse_profile("name: published\nversion: 1\ndimensions:\n" + "\n".join(lines))
    for name, theirs in PUBLISHED.items():
        for raw in (-50.0, 0.0, 0.3, 1.0, 42.0, 90.0):
            assert profile.rules[name].map.score(raw) == theirs.score(raw), name


def test_a_file_that_is_no_profile_is_named(tmp_path: Path) -> None:
    for text in (
        "{",
        "name: x\nversion: 1\ndimensions: []\nunknown: 1",
        "name: x\nversion: 1\ndimensions:\n  - {name: new, tier: 1}",
    ):
        (tmp_path / "broken.yaml").write_text(text)
        with pytest.raises(ProfileUnreadable, match=r"broken\.yaml cannot be read"):
            read_profiles([tmp_path])

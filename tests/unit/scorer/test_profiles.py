"""Profiles are data that is checked whole before use; rules are expressions that cannot pass by accident."""

from __future__ import annotations

import pytest
import yaml
from pydantic import ValidationError

from services.scorer.clients.profiles import BUILT_IN, ProfileInvalid, load_profiles, parse_profile
from services.scorer.clients.rules import CelRules, RuleInvalid
from services.scorer.domain.measures import TIERS
from winnow.contracts.errors import ErrorCode, Refused

RULES = CelRules()
MINIMAL = """
name: mine
version: 1
dimensions:
  - {name: decodable, tier: 1, mapping: {exactly: 1}}
  - {name: sharpness, tier: 1, mapping: {rises_at: 0.6, width: 0.2}}
"""


def test_built_in_profiles_load_and_name_only_what_is_measured() -> None:
    catalog = load_profiles(BUILT_IN, RULES)
    assert {profile.name for profile in catalog.all()} >= {"headshot", "product", "general"}
    for profile in catalog.all():
        assert profile.wanted() <= set(TIERS)


def test_catalog_gives_the_newest_version_unless_one_is_named(tmp_path) -> None:
    for version in (1, 2):
        (tmp_path / f"mine.v{version}.yaml").write_text(MINIMAL.replace("version: 1", f"version: {version}"))
    catalog = load_profiles(tmp_path, RULES)
    assert catalog.get("mine").version == 2
    assert catalog.get("mine", 1).version == 1
    for name, missing in (("mine", 3), ("other", None)):
        with pytest.raises(Refused) as refused:
            catalog.get(name, missing)
        assert refused.value.code is ErrorCode.unknown_profile


def test_profile_hash_changes_with_meaning_and_not_with_layout() -> None:
    first = parse_profile(MINIMAL, RULES)
    assert parse_profile("# a comment\n" + MINIMAL, RULES).sha256 == first.sha256
    assert parse_profile(MINIMAL.replace("0.6", "0.7"), RULES).sha256 != first.sha256


@pytest.mark.parametrize(
    "change",
    [
        ("sharpness, tier: 1", "sharpness, tier: 2"),
        ("sharpness", "beauty"),
        ("sharpness", "decodable"),
        ("rises_at: 0.6", "rises_at: 0.6, falls_at: 1"),
        ("width: 0.2", "width: 0"),
        ("version: 1", "version: 0"),
        ("name: mine", "name: Mine!"),
        ("{name: decodable, tier: 1,", "{name: decodable, tier: 1, required: false,"),
        ("{name: decodable, tier: 1,", "{name: decodable, tier: 1, mood: good,"),
        ("{name: decodable, tier: 1,", "{name: decodable, tier: 1, threshold: 0,"),
    ],
    ids=str,
)
def test_profile_with_a_fault_is_refused(change: tuple[str, str]) -> None:
    with pytest.raises(ValidationError):
        parse_profile(MINIMAL.replace(*change), RULES)


@pytest.mark.parametrize("expression", ["sharpness.raw >", "noise.raw < 1", "mood == 1"])
def test_profile_with_a_rule_that_cannot_be_decided_is_refused(expression: str) -> None:
    document = yaml.safe_load(MINIMAL) | {"rules": [{"name": "mine", "expression": expression}]}
    with pytest.raises(RuleInvalid):
        parse_profile(yaml.safe_dump(document), RULES)


def test_a_wrong_rule_or_guard_is_refused_by_name_with_a_suggestion() -> None:
    document = yaml.safe_load(MINIMAL) | {"rules": [{"name": "mine", "expression": "sharpness.rwa > 1"}]}
    with pytest.raises(RuleInvalid, match=r"rule mine: sharpness\.rwa: did you mean sharpness\.raw\?"):
        parse_profile(yaml.safe_dump(document), RULES)
    with pytest.raises(ValidationError, match=r"no dimension sharpnes is measured: did you mean sharpness\?"):
        parse_profile(MINIMAL.replace("sharpness", "sharpnes"), RULES)
    for guard, meant in (("noise_takn_off", "noise_taken_off"), ("region", "reg|there is")):
        guarded = MINIMAL.replace("0.2}}", f"0.2}}, guards: [{{evidence: {guard}, minimum: 1}}]}}")
        with pytest.raises(ValidationError, match=rf"shows no number {guard}: .*({meant})"):
            parse_profile(guarded, RULES)


def test_loading_names_the_file_with_the_fault(tmp_path) -> None:
    (tmp_path / "bad.yaml").write_text(MINIMAL.replace("version: 1", "version: zero"))
    with pytest.raises(ProfileInvalid, match=r"bad\.yaml"):
        load_profiles(tmp_path, RULES)
    (tmp_path / "bad.yaml").unlink()
    with pytest.raises(ProfileInvalid, match="no profile"):
        load_profiles(tmp_path, RULES)


VALUES: dict[str, dict[str, float | str | list[str]]] = {
    "sharpness": {"raw": 0.7, "status": "ok"},
    "face_count": {"raw": 1.0, "status": "ok"},
    "noise": {"status": "x"},
}


@pytest.mark.parametrize(
    ("expression", "holds"),
    [
        ("sharpness.raw > 0.02 && face_count.raw == 1", True),
        ("sharpness.raw > 0.9", False),
        ("noise.raw < 5", None),
        ("absent.raw < 5", None),
        ("sharpness.raw", None),
        ("1 / 0 > 1", None),
        ("sharpness.status + 1 == 2", None),
    ],
)
def test_rule_is_true_false_or_undecided(expression: str, holds: bool | None) -> None:
    outcome = CelRules().evaluate(expression, VALUES)
    assert outcome.holds is holds
    assert bool(outcome.reason) is (holds is None)

"""Rules are checked by their types before they are used: what passes the check never fails for its form."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.scorer.clients.rules import CelRules, RuleInvalid
from services.scorer.domain.rule_syntax import DEPTH_MAX, RuleSyntaxError, parse
from services.scorer.domain.rule_types import NODES_MAX, check_types
from services.scorer.domain.vocabulary import EVIDENCE, Type, schema_of
from services.scorer.engine.measure import measure_bytes
from tests.unit.scorer.loaded import loaded_models
from tests.unit.scorer.photographs import png, portrait
from winnow.contracts.values import MeasureStatus

SCHEMA = {
    "eyes": {"open": Type.double, "status": Type.text, "raw": Type.double},
    "text": {"words": Type.words, "raw": Type.double},
    "noise": {"raw": Type.double},
}
VALUES: dict[str, dict[str, float | str | list[str]]] = {
    "eyes": {"open": 70.0, "status": "ok", "raw": 1.25},
    "text": {"words": ["acme", "coffee"], "raw": 2.0},
    "noise": {"raw": 1.0},
}

GOOD = {
    "eyes.open > 60 && text.words.size() == 2": True,
    "eyes.raw * 2.0 >= 2.5 || false": True,
    "eyes.raw - 1.0 < -noise.raw": False,
    "!(noise.raw > 2.5e0)": True,
    "size(text.words) % 2 == 0": True,
    "'acme' in text.words && !(\"tea\" in text.words)": True,
    "text.words.exists(word, word.startsWith('cof'))": True,
    "text.words.all(word, size(word) > 4)": False,
    "text.words.filter(word, word.contains('c')).size() == 2": True,
    "text.words.map(word, size(word)).exists(long, long > 5)": True,
    "text.words.exists_one(word, word == 'acme')": True,
    "text.words[0] == 'acme'": True,
    "eyes.status in ['ok', 'not_applicable'] ? eyes.raw > 1 : true": True,
    "has(eyes.raw) && double(text.words.size()) / 2.0 == 1.0": True,
    "string(1) == '1' && int(eyes.raw) == 1": True,
    "eyes.status + '!' == 'ok!' // a comment": True,
    "noise.raw in [1.0, 2.0]": True,
    "eyes.status < 'p' && eyes.status.endsWith('k')": True,
}


@pytest.mark.parametrize("expression", GOOD)
def test_a_rule_that_passes_the_check_is_decided(expression: str) -> None:
    rules = CelRules()
    rules.check(expression, SCHEMA)
    assert rules.evaluate(expression, VALUES).holds is GOOD[expression]


@pytest.mark.parametrize(
    ("expression", "sentence"),
    [
        ("eyes.opn > 60", "eyes.opn: did you mean eyes.open?"),
        ("eys.open > 60", "eys.open: did you mean eyes.open?"),
        ("mood > 1", "mood: there is eyes, noise, text"),
        ("nois.raw > 1", "did you mean noise.raw?"),
        ("eyes > 1", "eyes is a dimension, a rule reads one of its values: eyes.open, eyes.raw, eyes.status"),
        ("sharpness.raw > 1", "sharpness is not among the dimensions of this profile"),
        ("eyes.status > 60", "> compares a text with a whole number"),
        ("eyes.open == 'wide'", "== compares a number with a text"),
        ("eyes.open", "a rule must be true or false, this one gives a number"),
        ("text.words", "gives a list of words"),
        ("eyes.open && true", "&& takes a true or false, not a number"),
        ("!eyes.open", "! takes a true or false"),
        ("eyes.open * 2 > 1", "write 2.0 instead of 2"),
        ("noise.raw % 2.0 == 0.0", "% takes a whole number"),
        ("eyes.open in text.words", "compares a number with a text"),
        ("'a' in eyes.status", "in looks into a list, not into a text"),
        ("eyes.open.size() == 1", "size takes"),
        ("eyes.status.matches('(a+)+')", "there is no matches"),
        ("sizes(text.words) == 1", "there is no sizes"),
        ("text.words.exists(word, word)", "exists takes a true or false"),
        ("text.words.exists(word)", "exists is written as list.exists(word, condition)"),
        ("eyes.status.exists(word, true)", "exists goes over a list"),
        ("text.words.exists(eyes, eyes == 'a')", "eyes is taken"),
        ("text.words.all(a, text.words.all(b, text.words.all(c, true)))", "go into one another"),
        ("text.words.all(a, true) && a == 'x'", "a: there is eyes, noise, text"),
        ("true ? 1 : 'a'", "chooses between a whole number and a text"),
        ("text.words['a'] == 'b'", "[] takes a whole number"),
        ("[1, 'a'].size() == 2", "a list holds only texts or only numbers"),
        ("[].size() == 0", "a list holds only texts or only numbers, and at least one"),
        ("has(eyes)", "has is asked of one value"),
        ("eyes.open >", "its end was not expected"),
        ("eyes.open > 1 1", "'1' at character 15 was not expected"),
        ("eyes.open ~ 1", "cannot be read at character 11"),
        ("{'a': 1}.size() == 1", "cannot be read at character 1"),
        ("999999999999999999999 > 1", "parse"),
        ("", "its end was not expected"),
    ],
)
def test_a_wrong_rule_is_refused_with_a_sentence(expression: str, sentence: str) -> None:
    with pytest.raises(RuleInvalid) as refused:
        CelRules().check(expression, SCHEMA)
    assert sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_cost_is_bounded_in_parts_and_depth() -> None:
    check_types(" && ".join(["true"] * (NODES_MAX // 2)), SCHEMA)
    with pytest.raises(ValueError, match=f"at most {NODES_MAX}"):
        check_types(" && ".join(["true"] * (NODES_MAX // 2 + 1)), SCHEMA)
    parse("(" * (DEPTH_MAX - 1) + "true" + ")" * (DEPTH_MAX - 1))
    for opening, closing in (("(", ")"), ("size([", "])")):
        with pytest.raises(RuleSyntaxError, match="nested"):
            parse(opening * 500 + "true" + closing * 500)


def test_the_dearest_allowed_rule_is_decided_within_seconds() -> None:
    rules = CelRules()
    deepest = "text.words.all(a, text.words.all(b, a + b != 'x'))"
    expression = " && ".join([deepest] * 20)
    rules.check(expression, SCHEMA)
    values = VALUES | {"text": {"words": [f"word{number}" for number in range(200)], "raw": 200.0}}
    started = time.process_time()
    assert rules.evaluate(expression, values).holds is True
    assert time.process_time() - started < 3.0


@given(st.text(alphabet="eyes.opn&|!<>=()[]?:+-*/% '\"12,in", max_size=60))
def test_any_text_is_either_a_rule_or_refused_in_words(expression: str) -> None:
    rules = CelRules()
    try:
        rules.check(expression, SCHEMA)
    except RuleInvalid as refused:
        assert str(refused)
    else:
        outcome = rules.evaluate(expression, VALUES)
        assert outcome.holds is not None or "rule_error" in outcome.reason


def test_every_dimension_has_the_common_values() -> None:
    schema = schema_of(EVIDENCE, ["brand"])
    assert schema["brand"] == {"words": Type.words}
    for name in EVIDENCE:
        assert schema[name]["raw"] is Type.double
        assert schema[name]["status"] is Type.text


# Every model is loaded.
@pytest.mark.timeout(120)
def test_what_dimensions_show_is_of_the_declared_type() -> None:
    shown = measure_bytes(png(portrait()), frozenset(EVIDENCE), loaded_models()).by_name()
    for name, declared in EVIDENCE.items():
        for key, value in shown[name].evidence.items():
            if key in declared:
                wanted = int | float if declared[key] is Type.double else str
                assert isinstance(value, wanted), (name, key)
        assert set(declared) <= set(shown[name].evidence) or shown[name].status is not MeasureStatus.ok, name

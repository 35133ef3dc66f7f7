"""The mutation suite can be run: each mutation fits the source of today and names tests that exist."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tests.mutation.catalogue import ROOT, Mutation, catalogue, fault
from tests.mutation.trial import CAUGHT, outcomes_of, tried


@pytest.mark.parametrize("mutation", catalogue(), ids=lambda mutation: mutation.name)
def test_a_mutation_fits_the_source_and_names_tests_that_exist(mutation: Mutation) -> None:
    assert fault(mutation) == ""


MUTATIONS_MIN = 60
pytestmark = pytest.mark.timeout(180)


def test_there_are_enough_mutations_each_under_a_name_of_its_own() -> None:
    names = Counter(mutation.name for mutation in catalogue())
    assert [name for name, count in names.items() if count > 1] == []
    assert len(names) >= MUTATIONS_MIN


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a tree whose two tests need no plugin of pytest: loading those takes longer than a trial."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    (tmp_path / "tests").mkdir()
    shutil.copytree(
        ROOT / "tests" / "mutation",
        tmp_path / "tests" / "mutation",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    (tmp_path / "rule.py").write_text("def passed(score):\n    return score >= 5\n")
    (tmp_path / "test_rule.py").write_text(
        "import rule\n\n\ndef test_far():\n    assert rule.passed(9)\n\n\n"
        "def test_bound():\n    assert rule.passed(5)\n"
    )
    return tmp_path


BOUND = Mutation("bound", "rule.py", ">= 5", "> 5", ("test_rule.py::test_bound",))


def test_a_mutation_that_a_test_notices_is_caught_and_taken_back(tree: Path) -> None:
    before = (tree / "rule.py").read_text()
    assert tried(tree, BOUND, {}).result == CAUGHT
    assert (tree / "rule.py").read_text() == before


def test_a_mutation_that_no_test_notices_survives(tree: Path) -> None:
    assert tried(tree, replace(BOUND, tests=("test_rule.py::test_far",)), {}).result == "SURVIVED"


@pytest.mark.parametrize("new", [">= five", ">>= 5"], ids=["another error", "no syntax"])
def test_a_mutation_that_fails_without_an_assertion_is_not_caught(tree: Path, new: str) -> None:
    assert tried(tree, replace(BOUND, new=new), {}).result == "broken"


def test_a_mutation_whose_test_fails_without_it_proves_nothing(tree: Path) -> None:
    (tree / "rule.py").write_text("def passed(score):\n    return score >= 50\n")
    failing = outcomes_of(tree, BOUND.tests).failing
    trial = tried(tree, BOUND, failing)
    assert trial.result == "not tried"
    assert "AssertionError: assert False" in trial.detail


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        (replace(BOUND, old="score"), "stale mutation: the text occurs 2 times in rule.py"),
        (replace(BOUND, path="rules.py"), "stale mutation: the text occurs 0 times in rules.py"),
        (replace(BOUND, new=BOUND.old), "the mutation changes nothing"),
        (replace(BOUND, tests=()), "no test is named"),
        (replace(BOUND, tests=("test_rule.py::test_gone",)), "no such test: test_rule.py::test_gone"),
    ],
    ids=["twice", "no file", "no change", "no test", "unknown test"],
)
def test_a_mutation_that_cannot_be_tried_is_refused(tree: Path, changed: Mutation, why: str) -> None:
    assert fault(changed, tree) == why

"""Verdicts and routing choices are derived again; one that was changed contradicts what is recorded with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from winnow.audit.routes import RouteFold, choice_findings
from winnow.audit.verdicts import selection_findings, verdict_findings
from winnow.contracts.events import AttemptFinished, AttemptSubmitted, CandidatesScored, TaskSelected
from winnow.contracts.values import RouteLine

GOLDEN = Path("tests/contract/golden")


def golden(kind: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((GOLDEN / f"{kind}.v1/demo.json").read_text())
    return document


def scored(**changes: Any) -> CandidatesScored:
    document = golden("candidates.scored")
    document["candidates"][0] |= changes
    return CandidatesScored.model_validate(document)


def submitted(**changes: Any) -> AttemptSubmitted:
    return AttemptSubmitted.model_validate(golden("attempt.submitted") | changes)


def said(findings: Any) -> list[str]:
    return [finding.text for finding in findings]


def test_recorded_verdicts_and_choices_give_themselves_again() -> None:
    assert said(verdict_findings(scored())) == []
    assert said(choice_findings(submitted())) == []


def test_a_changed_verdict_is_named() -> None:
    whole = scored().candidates[0]
    found = said(verdict_findings(scored(passed=not whole.passed)))
    assert found[0].startswith(f"{whole.candidate_id} is recorded as {'not ' * whole.passed}passed, but")


def test_a_changed_score_is_named() -> None:
    dimensions = golden("candidates.scored")["candidates"][0]["dimensions"]
    dimensions[0]["score"] = 1.0 if dimensions[0]["passed"] else 100.0
    found = said(verdict_findings(scored(dimensions=dimensions)))
    assert found[0].startswith(f"{dimensions[0]['name']} of ")


def test_a_verdict_without_a_measurement_does_not_pass() -> None:
    assert said(verdict_findings(scored(dimensions=[], passed=True, reasons=[])))


def test_a_changed_reason_is_named() -> None:
    assert "names the reasons" in said(verdict_findings(scored(reasons=["sharpness:unknown"])))[0]


@pytest.mark.parametrize("change", ["another offering", "a cheaper one was free", "a price below its rates"])
def test_a_changed_choice_is_named(change: str) -> None:
    document = golden("attempt.submitted")
    chosen = next(alternative for alternative in document["alternatives"] if alternative["chosen"])
    if change == "another offering":
        document["offering"] = "another"
    elif change == "a cheaper one was free":
        other = {**chosen, "offering": "b", "chosen": False, "reason": "dearer", "price_usd_micro": 0}
        document["alternatives"].append(other | {"effective_price_usd_micro": 0})
        chosen["reason"] = "least_effective_price"
    else:
        chosen["effective_price_usd_micro"] = 0
    assert len(said(choice_findings(AttemptSubmitted.model_validate(document)))) == 1


def test_a_route_is_derived_from_its_attempts() -> None:
    attempt, finished = submitted(), AttemptFinished.model_validate(golden("attempt.finished"))
    finished = finished.model_copy(
        update={
            "attempt_id": attempt.attempt_id,
            "offering": attempt.offering,
            "expected_cost_usd_micro": attempt.expected_cost_usd_micro,
            "actual_cost_usd_micro": attempt.expected_cost_usd_micro + 5,
        }
    )
    line = RouteLine(
        offering=attempt.offering,
        provider=attempt.provider,
        attempts_count=1,
        candidates_count=1,
        passed_count=1,
        expected_cost_usd_micro=attempt.expected_cost_usd_micro,
        actual_cost_usd_micro=attempt.expected_cost_usd_micro + 5,
    )
    for routes, faults_count in (([line], 0), ([line.model_copy(update={"attempts_count": 2})], 1), ([], 1)):
        selected = TaskSelected.model_validate(golden("task.selected")).model_copy(update={"routes": routes})
        fold = RouteFold()
        for event in (attempt, finished, selected):
            fold.take(event)
        assert len(fold.faults) == faults_count


def test_a_selection_without_its_verdict_is_named() -> None:
    selected = TaskSelected.model_validate(golden("task.selected"))
    scores = {candidate.candidate_id: candidate.score for candidate in selected.selected}
    assert said(selection_findings(selected, scores)) == []
    first = selected.selected[0].candidate_id
    assert said(selection_findings(selected, {**scores, first: scores[first] + 1}))
    assert said(selection_findings(selected, {})) == [
        f"{candidate.candidate_id} was selected and has not passed" for candidate in selected.selected
    ]

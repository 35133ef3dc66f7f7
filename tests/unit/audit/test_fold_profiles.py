"""The fold and the pinned profile: verdicts, selections and outputs that another profile judged."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.unit.audit.chain_builders import PROFILES, SHA256, raw_of
from tests.unit.audit.record_builders import BAD, NOW, PROFILE, checks, edited, said, story
from winnow.audit.fold import RecordFold
from winnow.contracts.events import CandidatesScored, TaskDelivered, TaskSelected


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"profile": PROFILE.model_copy(update={"name": "product"})}, {"profile", "gate"}),
        ({"profile": PROFILE.model_copy(update={"version": 2})}, {"profile", "gate"}),
        ({"profile_sha256": "1" * 64}, {"profile not at hand"}),
    ],
)
def test_a_verdict_of_another_profile_than_the_order_pins_is_found(
    changes: dict[str, Any], found: set[str]
) -> None:
    tasks, accounts = story()
    assert checks([*edited(tasks, CandidatesScored, **changes), *accounts]) == found


def test_a_verdict_under_the_hash_of_another_profile_is_found() -> None:
    tasks, accounts = story()
    other = replace(PROFILES[SHA256], ref=PROFILE.model_copy(update={"version": 2}))
    fold = RecordFold({SHA256: other})
    for task in [*tasks, *accounts]:
        fold.take(task)
    assert {finding.check for finding in fold.findings(NOW)} == {"profile", "gate"}


def test_a_profile_that_is_not_at_hand_is_named_with_what_is() -> None:
    tasks, accounts = story()
    text = said([*edited(tasks, CandidatesScored, profile_sha256="1" * 64), *accounts]).get(
        "profile not at hand"
    )
    assert text == (
        "2 verdicts name headshot@1 with sha256 111111111111, which is not at hand; at hand it has the sha256"
        " 000000000000: give --profiles DIR with its file"
    )


def test_a_selection_under_another_profile_is_found() -> None:
    tasks, accounts = story()
    other = PROFILE.model_copy(update={"version": 2})
    assert checks([*edited(tasks, TaskSelected, profile=other), *accounts]) == {"profile"}


def test_an_output_whose_raw_values_do_not_pass_is_found_at_the_gate() -> None:
    tasks, accounts = story()
    scored = tasks[3].message
    assert isinstance(scored, CandidatesScored)
    forged = [
        candidate.model_copy(
            update={
                "dimensions": [candidate.dimensions[0].model_copy(update={"raw": raw_of(10), "threshold": 0})]
            }
        )
        for candidate in scored.candidates
    ]
    found = checks([*edited(tasks, CandidatesScored, candidates=forged), *accounts])
    assert found == {"verdict", "gate"}


def test_a_delivery_of_what_did_not_pass_is_found() -> None:
    tasks, accounts = story()
    delivered = tasks[5].message
    assert isinstance(delivered, TaskDelivered)
    outputs = [delivered.outputs[0].model_copy(update={"candidate_id": BAD})]
    assert checks([*edited(tasks, TaskDelivered, outputs=outputs), *accounts]) == {"gate"}

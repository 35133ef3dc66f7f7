"""The gate against the truth of simulated pictures."""

from __future__ import annotations

import os

import pytest

from simulators.defects import CARDS, Defect
from simulators.photos.studio import Subject
from simulators.renderer import RenderRequest
from tests.support.renderer import shared_renderer
from tests.unit.scorer.judged_pictures import failed, score

SEEDS_PER_DEFECT = int(os.environ.get("WINNOW_TEST_DEFECT_SEEDS", "1"))
"""Pictures with each defect; `make soak` looks at five."""
# Advertisements and cut-outs, which need an order's words and profiles of other names, are in tests/quality.
GATED = [
    (subject, defect)
    for subject in (Subject.headshot, Subject.product)
    for defect in (None, *Defect)
    if defect is not Defect.near_duplicate and (defect is None or CARDS[defect].applies_to(subject))
]


@pytest.mark.parametrize(("subject", "defect"), GATED)
def test_gate_agrees_with_the_recorded_truth(subject: Subject, defect: Defect | None) -> None:
    for seed in range(3 if defect is None else SEEDS_PER_DEFECT):
        made = shared_renderer().render(RenderRequest((20_311, seed), subject, (768, 768), "jpeg", defect))
        found = score(made.content, subject.value)
        if defect is None:
            assert found.passed, found.reasons
        else:
            assert failed(found) & set(made.dimensions), (defect, found.reasons)

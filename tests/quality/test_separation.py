"""The quick part of the quality figures: separation of technical defects, and clean pictures that must pass."""

from __future__ import annotations

import pytest

from tests.quality.figures import Measured, at_limit, auc, fitted_limit, leave_one_out
from tests.quality.judging import clean_scores, technical_readings
from tests.quality.pictures import FEWER, SCENES, TECHNICAL

AGREED = [(dimension, defect) for dimension, defect, agreed, _ in TECHNICAL if agreed]


@pytest.mark.parametrize(("dimension", "defect"), AGREED, ids=[defect for _, defect in AGREED])
def test_defect_at_the_agreed_severity_is_told_from_clean(dimension: str, defect: str) -> None:
    # Among the fewer, the two darkest weigh so much that the bar over the whole set says more of overexposure.
    scenes = SCENES if defect == "over by 3 stops" else FEWER
    readings = technical_readings(dimension, [defect], scenes)
    clean, bad = ([reading.value for reading in readings if reading.bad is kind] for kind in (False, True))
    assert (len(clean), len(bad)) == (6 * len(scenes), len(scenes))
    assert auc(clean, bad) >= 0.97


def test_no_clean_photograph_is_refused() -> None:
    found = [(name, clean_score) for name in (*FEWER, "grass.png") for clean_score in clean_scores(name)]
    assert len(found) == 54
    assert [(name, verdict.reasons) for name, verdict in found if not verdict.passed] == []


def test_figures_on_readings_whose_truth_is_plain() -> None:
    readings = [Measured(of, value, bad) for of, value, bad in (
        ("a", 5.0, False), ("a", 1.0, True), ("b", 6.0, False), ("b", 2.0, True), ("c", 7.0, False), ("c", float("-inf"), True),
    )]  # fmt: skip
    assert auc([5.0, 6.0], [1.0, 5.0]) == pytest.approx(3.5 / 4)
    assert fitted_limit(readings) == pytest.approx(3.5)
    found = at_limit(readings, 5.5)
    assert (found.precision, found.recall) == (0.75, 1.0)
    assert found.false_rejection_rate == pytest.approx(1 / 3)
    assert leave_one_out(readings) == at_limit(readings, 3.5)
    assert leave_one_out([Measured("a", 1.0, bad=True)]).recall == 0.0

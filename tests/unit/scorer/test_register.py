"""The register of dimensions: in step with the domain's names, and each entry says what it is."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

from services.scorer import dimensions
from services.scorer.dimensions import DIMENSION_DOCS, DIMENSIONS, FAMILIES
from services.scorer.domain.measures import LAZY, TIERS
from services.scorer.domain.references import Wording
from services.scorer.engine.measure import measure_bytes
from services.scorer.vision.model_set import SALIENCY, Models
from tests.unit.scorer.photographs import png, portrait
from winnow.contracts.values import MeasureStatus


def test_the_register_and_the_domain_name_the_same_dimensions() -> None:
    assert {name: dimension.tier for name, dimension in DIMENSIONS.items()} == TIERS


def test_the_saliency_network_alone_is_left_to_the_first_picture_that_needs_it() -> None:
    assert {name for name, dimension in DIMENSIONS.items() if SALIENCY in dimension.needs} == LAZY


def test_no_dimension_belongs_to_two_families() -> None:
    assert sum(len(family) for family in FAMILIES.values()) == len(DIMENSIONS)
    assert all(name == dimension.name for name, dimension in DIMENSIONS.items())


def test_every_module_of_a_family_is_in_the_register() -> None:
    folder = Path(dimensions.__file__).parent
    holding = {
        path.stem
        for path in folder.glob("*.py")
        if any(
            isinstance(node, ast.AnnAssign) and isinstance(node.value, ast.Call)
            for node in ast.parse(path.read_text()).body
        )
    }
    assert holding == set(FAMILIES)


def test_every_dimension_answers_for_its_formula_source_status_and_calibration() -> None:
    assert set(DIMENSION_DOCS) == set(DIMENSIONS)
    for name, account in DIMENSION_DOCS.items():
        parts = (account.formula, account.source, account.not_ok, account.calibration)
        assert all(part and "|" not in part for part in parts), name


@pytest.mark.parametrize("name", sorted(DIMENSIONS))
def test_no_value_is_given_only_where_the_account_says_so(name: str, models: Models) -> None:
    """A plain wall has no face, words, subject or alpha, and nothing was given to compare with."""
    wall = np.full((256, 256, 3), 190, np.uint8)
    (taken,) = measure_bytes(png(wall), frozenset({name}), models).measurements
    excused = (MeasureStatus.not_applicable, MeasureStatus.failure_to_assess)
    if DIMENSION_DOCS[name].not_ok == "never":
        assert taken.status not in excused, taken
    elif taken.status is MeasureStatus.not_applicable:
        assert "not applicable" in DIMENSION_DOCS[name].not_ok


@pytest.mark.parametrize("name", sorted(DIMENSIONS))
def test_a_dimension_has_a_unit_and_without_its_models_a_remedy(name: str) -> None:
    dimension = DIMENSIONS[name]
    assert dimension.unit
    assert dimension.tier in (1, 2)
    if dimension.needs:
        models = Models(without=frozenset(dimension.needs))
        wording = Wording(copy="Fresh mugs")
        (taken,) = measure_bytes(png(portrait()), frozenset({name}), models, wording=wording).measurements
        assert taken.status is MeasureStatus.unavailable
        assert taken.evidence["model"] in dimension.needs
        assert taken.evidence["remedy"]

"""The model weights of this checkout, built where they are not there yet (the first time needs the package index)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from model_builder.__main__ import build
from model_builder.sources import read_sources
from services.scorer.inference.manifest import BUILT

_BUILD_TIMEOUT_S = 300


@cache
def built_models() -> Path:
    """Return the models directory of this checkout, complete."""
    failures = build(read_sources(), BUILT)
    assert not failures, failures
    return BUILT


def leave_time_to_build(items: list[pytest.Item]) -> None:
    """Leave time to build to every test that may be the first to need the weights."""
    for item in items:
        if {"models", "models_dir"} & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.timeout(_BUILD_TIMEOUT_S))

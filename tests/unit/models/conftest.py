"""The model weights, built once where they are not there yet."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.builders.model_files import built_models, leave_time_to_build


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave time to build."""
    leave_time_to_build(items)


@pytest.fixture(scope="session")
def models_dir() -> Path:
    """Return the models directory of this checkout, complete."""
    return built_models()

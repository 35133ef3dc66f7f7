"""One renderer for all tests: preparing it takes a second."""

import pytest

from simulators.renderer import Renderer
from tests.support.renderer import shared_renderer


@pytest.fixture(scope="session")
def renderer() -> Renderer:
    return shared_renderer()

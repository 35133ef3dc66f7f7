"""One darkroom for all tests: preparing it takes a second."""

import pytest

from simulators.darkroom import Darkroom


@pytest.fixture(scope="session")
def darkroom() -> Darkroom:
    return Darkroom()

"""One darkroom for all tests: preparing it takes a second."""

import pytest

from simulators.darkroom import Darkroom
from tests.support.darkroom import shared_darkroom


@pytest.fixture(scope="session")
def darkroom() -> Darkroom:
    return shared_darkroom()

"""The fakes keep the promises of the real stores."""

from __future__ import annotations

import pytest

from tests.unit.delivery.fakes import MemoryEndpoints, MemoryIndex
from tests.unit.delivery.store_suite import EndpointSuite, IndexSuite


class TestMemoryEndpoints(EndpointSuite):
    @pytest.fixture
    def endpoints(self) -> MemoryEndpoints:
        return MemoryEndpoints()


class TestMemoryIndex(IndexSuite):
    @pytest.fixture
    def index(self) -> MemoryIndex:
        return MemoryIndex()

"""The fakes that unit tests use keep the stores' promises."""

from __future__ import annotations

import pytest

from tests.contract.ingest.segment_suite import SegmentSuite
from tests.contract.ingest.store_suite import Stores, StoreSuite
from tests.unit.ingest.memory_stores import MemoryInputs, MemoryKeys, MemoryViews


@pytest.fixture
def account() -> str:
    return "acct_one"


@pytest.fixture
def stores() -> Stores:
    views = MemoryViews()
    return Stores(MemoryKeys(), MemoryInputs(), views, views)


class TestMemoryStores(StoreSuite):
    """The suite on the fakes."""


class TestMemorySegments(SegmentSuite):
    """The suite of large tasks on the fake."""

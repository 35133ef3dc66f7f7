"""The journal store in memory keeps the promises of the real one."""

from __future__ import annotations

import pytest

from tests.support.fakes.memory_journal import MemoryJournalStore
from tests.support.journal_store_suite import JournalStoreSuite


class TestMemoryJournalStore(JournalStoreSuite):
    @pytest.fixture
    def store(self) -> MemoryJournalStore:
        return MemoryJournalStore()

    @pytest.fixture
    def store_everywhere(self) -> MemoryJournalStore:
        return MemoryJournalStore(everywhere=True)

    @pytest.fixture
    def listing_store(self) -> MemoryJournalStore:
        return MemoryJournalStore()

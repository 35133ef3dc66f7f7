"""Two builds on one journal, on a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import count

import pytest

from tests.support.journal_upgrade_suite import JournalUpgradeSuite
from winnow.adapters.mongo import Mongo
from winnow.eventstore import MongoJournalStore
from winnow.local.stack import Addresses

pytestmark = pytest.mark.one_bus

_NUMBERS = count()


class TestMongoJournalUpgrade(JournalUpgradeSuite):
    @pytest.fixture
    async def store(self, servers: Addresses) -> AsyncIterator[MongoJournalStore]:
        connection = Mongo(servers.mongo_uri, f"test_journal_upgrade_{next(_NUMBERS)}")
        store = MongoJournalStore(connection.database)
        await store.prepare()
        yield store
        await connection.database.client.drop_database(connection.database.name)
        connection.close()

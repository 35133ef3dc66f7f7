"""The journal store on a real database: the same suite as the one in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import count

import pytest

from tests.support.journal_store_suite import JournalStoreSuite, block
from winnow.local.stack import Addresses
from winnow.runtime.journal.store import MongoJournalStore
from winnow.runtime.mongo import Mongo

_NUMBERS = count()


@pytest.fixture
async def mongo(servers: Addresses) -> AsyncIterator[Mongo]:
    connection = Mongo(servers.mongo_uri, f"test_journal_store_{next(_NUMBERS)}")
    yield connection
    await connection.database.client.drop_database(connection.database.name)
    connection.close()


class TestMongoJournalStore(JournalStoreSuite):
    @pytest.fixture
    async def store(self, mongo: Mongo) -> MongoJournalStore:
        store = MongoJournalStore(mongo.database, prefix="one_")
        await store.prepare()
        await store.prepare()
        return store

    @pytest.fixture
    async def store_everywhere(self, mongo: Mongo) -> MongoJournalStore:
        store = MongoJournalStore(mongo.database, causes_unique_everywhere=True)
        await store.prepare()
        return store

    async def test_a_block_without_messages_is_never_unsent(self, store: MongoJournalStore) -> None:
        await store.insert([block("0", 1, ["c1"], topic=None)])

        assert await store.unsent("0") == []

    async def test_prefixes_are_apart(self, mongo: Mongo, store: MongoJournalStore) -> None:
        other = MongoJournalStore(mongo.database, prefix="two_")
        await other.prepare()
        await store.insert([block("0", 1, ["c1"])])

        assert await other.head("0") is None

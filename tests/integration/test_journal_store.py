"""The journal store on a real database: the same suite as the one in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import count

import pytest

from tests.support.database_calls import Counted
from tests.support.journal_store_suite import JournalStoreSuite, block, entity, final_id, folded
from winnow.adapters.mongo import Mongo
from winnow.eventstore import MongoJournalStore
from winnow.local.stack import Addresses

pytestmark = pytest.mark.one_bus

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
        store = MongoJournalStore(mongo.database, inputs_unique_everywhere=True)
        await store.prepare()
        return store

    @pytest.fixture
    async def listing_store(self, mongo: Mongo) -> MongoJournalStore:
        store = MongoJournalStore(mongo.database, state_format=2, lists_finals=True)
        await store.prepare()
        return store

    async def test_the_ids_of_a_shard_are_one_document_and_found_by_an_index(
        self, mongo: Mongo, listing_store: MongoJournalStore
    ) -> None:
        states, counted = mongo.database["state_2"], Counted()
        await listing_store.save([final_id(f"a{number}", 7, after=3) for number in range(40)], {"0": 7}, {})
        await listing_store.states([f"a{number}" for number in range(20, 60)])

        assert counted.documents == {"insert state_2": 1, "update folds": 1}
        assert counted.calls == {"insert state_2": 1, "update folds": 1, "find state_2": 1}
        plan = await states.find({"ids": {"$in": ["a1"]}}).explain()
        assert "IXSCAN" in str(plan["queryPlanner"]["winningPlan"])

    async def test_a_block_without_messages_is_never_unsent(self, store: MongoJournalStore) -> None:
        await store.insert([block("0", 1, ["c1"], topic=None)])

        assert await store.unsent("0") == []

    async def test_prefixes_are_apart(self, mongo: Mongo, store: MongoJournalStore) -> None:
        other = MongoJournalStore(mongo.database, prefix="two_")
        await other.prepare()
        await store.insert([block("0", 1, ["c1"])])

        assert await other.head("0") is None

    async def test_states_of_another_format_are_not_read_and_their_shards_count_as_not_folded(
        self, mongo: Mongo, store: MongoJournalStore
    ) -> None:
        newer = MongoJournalStore(mongo.database, prefix="one_", state_format=2)
        await newer.prepare()
        await store.save([folded("a", 5)], {"0": 5}, {"0": 4}, [entity("a/x", 5)])

        assert await newer.folded_to("0") == 0
        assert await newer.states(["a"]) == {}
        assert await newer.entities(["a/x"]) == {}
        assert await newer.sent_to("0") == 4

        await newer.save([folded("a", 3)], {"0": 3}, {}, [entity("a/x", 3)])

        assert (await newer.folded_to("0"), await store.folded_to("0")) == (3, 5)
        assert (await store.states(["a"]))["a"].block_no == 5
        assert (await newer.entities(["a/x"])) == {"a/x": entity("a/x", 3)}

"""Every command that reaches the database is counted, with the documents that it wrote: on a real server."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from pymongo import DeleteOne, InsertOne, ReturnDocument, UpdateOne
from pymongo.errors import DuplicateKeyError

from services.delivery.store import EndpointStore
from services.ledger.store.entries import EntryView
from tests.support.clock import SetClock
from tests.support.database_calls import Counted
from tests.support.journal_store_suite import block
from winnow.adapters.leases import Purpose, StoreLease
from winnow.adapters.mongo import Mongo, insert_new
from winnow.eventstore import MongoJournalStore
from winnow.local.stack import Addresses
from winnow.runtime.clock import random_bytes

pytestmark = pytest.mark.one_bus


@pytest.fixture
async def mongo(servers: Addresses) -> AsyncIterator[Mongo]:
    connection = Mongo(servers.mongo_uri, f"test_calls_{random_bytes(4).hex()}")
    await connection.database["rows"].insert_many([{"_id": number, "kind": "old"} for number in range(5)])
    yield connection
    await connection.database.client.drop_database(connection.database.name)
    connection.close()


async def test_inserts_are_counted_once_a_command_and_once_a_document(mongo: Mongo) -> None:
    rows, counted = mongo.database["rows"], Counted()
    await rows.insert_one({"_id": 10})
    await rows.insert_many([{"_id": 11}, {"_id": 12}, {"_id": 13}])
    assert counted.calls == {"insert rows": 2}
    assert counted.documents == {"insert rows": 4}


async def test_a_document_that_was_there_already_is_not_counted_as_written(mongo: Mongo) -> None:
    rows, counted = mongo.database["rows"], Counted()
    assert await insert_new(rows, [{"_id": 4}, {"_id": 14}]) == [{"_id": 4}]
    with pytest.raises(DuplicateKeyError):
        await rows.insert_one({"_id": 4})
    assert counted.calls == {"insert rows": 2}
    assert counted.documents == {"insert rows": 1}


async def test_a_bulk_is_a_call_for_each_kind_of_write_in_it(mongo: Mongo) -> None:
    writes: list[UpdateOne | InsertOne[Any] | DeleteOne] = [
        UpdateOne({"_id": 0}, {"$set": {"kind": "new"}}),
        UpdateOne({"_id": 20}, {"$set": {"kind": "new"}}, upsert=True),
        UpdateOne({"_id": 21}, {"$set": {"kind": "new"}}),
        InsertOne({"_id": 22}),
        DeleteOne({"_id": 1}),
    ]
    counted = Counted()
    await mongo.database["rows"].bulk_write(writes, ordered=False)
    assert counted.calls == {"update rows": 1, "insert rows": 1, "delete rows": 1}
    assert counted.documents == {"update rows": 2, "insert rows": 1, "delete rows": 1}


async def test_an_update_that_changes_nothing_is_a_call_and_no_document(mongo: Mongo) -> None:
    rows, counted = mongo.database["rows"], Counted()
    await rows.update_one({"_id": 99}, {"$set": {"kind": "new"}})
    await rows.update_many({"kind": "old"}, {"$set": {"kind": "new"}})
    await rows.delete_many({"_id": {"$in": [0, 1]}})
    assert counted.calls == {"update rows": 2, "delete rows": 1}
    assert counted.documents == {"update rows": 5, "delete rows": 2}


async def test_reads_are_counted_with_every_further_batch(mongo: Mongo) -> None:
    rows, counted = mongo.database["rows"], Counted()
    assert await rows.find_one({"_id": 3}) == {"_id": 3, "kind": "old"}
    assert len(await rows.find({}, batch_size=2).to_list(length=None)) == 5
    assert counted.calls == {"find rows": 2, "getMore rows": 2}
    assert counted.documents == {}


async def test_find_and_modify_writes_a_document_where_it_finds_or_makes_one(mongo: Mongo) -> None:
    rows, counted = mongo.database["rows"], Counted()
    change = {"$set": {"kind": "new"}}
    await rows.find_one_and_update({"_id": 0}, change)
    await rows.find_one_and_update({"_id": 98}, change)
    await rows.find_one_and_update({"_id": 97}, change, upsert=True, return_document=ReturnDocument.AFTER)
    assert counted.calls == {"findAndModify rows": 3}
    assert counted.documents == {"findAndModify rows": 2}


async def test_a_command_to_the_server_has_no_collection(mongo: Mongo) -> None:
    counted = Counted()
    await mongo.ping()
    assert counted.calls == {"ping ": 1}


async def test_the_stores_of_every_service_are_counted(mongo: Mongo) -> None:
    """The journal's, the leases', delivery's and the ledger's statements, which write nothing."""
    journal = MongoJournalStore(mongo.database)
    lease = StoreLease(mongo.database, SetClock(), "a-1", Purpose.serving)
    entries, endpoints = EntryView(mongo.database, shards=1), EndpointStore(mongo.database)
    counted = Counted()
    await journal.insert([block("0", 1, ["c1"])])
    await lease.take()
    await entries.page("acct_a", limit=10, before=None)
    await endpoints.note_success("whe_a")
    assert counted.calls == {
        "insert journal": 1,
        "find store_leases": 2,
        "update store_leases": 1,
        "find entries_read_to": 1,
        "find journal": 1,
        "find entries": 1,
        "update webhook_endpoints": 1,
    }
    assert counted.documents == {"insert journal": 1, "update store_leases": 1}

"""A rebuilding that is killed between two collections, on a real document store: the next one says so and finishes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from typing import Any

import pymongo
import pytest

from services.ledger.domain.decide import DECIDER
from tests.support.clock import SetClock
from tests.support.fakes.memory_journal import MemoryBus, MemoryJournalStore
from tests.unit.ledger.builders import START
from tests.unit.ledger.ledger_journal import SHARD, SHARDS, STORY, feed_all, running
from winnow.adapters.mongo import Mongo
from winnow.eventstore import MongoJournalStore
from winnow.eventstore.model import state_format_of
from winnow.local.stack import Addresses

pytestmark = pytest.mark.one_bus
STORES = ("state_2", "entities_2", "folds", "entries", "entries_read_to")
KILLED_AFTER_ONE = """
import os, runpy, signal
from winnow.audit.staging_database import StagingDatabase

async def replace(self):
    name = self._names[0]
    await self._database["rebuilt_" + name].rename(name, dropTarget=True)
    os.kill(os.getpid(), signal.SIGKILL)

StagingDatabase.replace = replace
runpy.run_module("services.ledger.rebuild", run_name="__main__")
"""
_NUMBERS = count()
Database = Any
Rows = dict[str, dict[Any, dict[str, Any]]]


@pytest.fixture
def database(servers: Addresses) -> Iterator[Database]:
    """Yield a database that holds the journal of an account and nothing made from it."""
    name = f"test_rebuild_interrupted_{next(_NUMBERS)}"
    asyncio.run(_journal(servers.mongo_uri, name))
    with pymongo.MongoClient[dict[str, Any]](servers.mongo_uri, tz_aware=True) as client:
        yield client[name]
        client.drop_database(name)


async def _journal(uri: str, name: str) -> None:
    decided = MemoryJournalStore()
    async with running(decided, MemoryBus(), SetClock(START)) as journal:
        await feed_all(journal, STORY, 3)
    connection = Mongo(uri, name)
    store = MongoJournalStore(connection.database, state_format=state_format_of(DECIDER))
    await store.prepare()
    for block in decided.chain(SHARD):
        await store.insert([block])
    connection.close()


def ended(servers: Addresses, database: Database, *argv: str) -> tuple[int, str]:
    env = {
        "MONGO_URI": servers.mongo_uri,
        "MONGO_DATABASE": database.name,
        "KAFKA_BOOTSTRAP": servers.kafka_bootstrap,
        "SHARDS": str(SHARDS),
        "S3_ENDPOINT": "http://127.0.0.1:1",
        "S3_ACCESS_KEY": "unused",
        "S3_SECRET_KEY": "unused",
    }
    done = subprocess.run(
        [sys.executable, *argv],
        env=os.environ | {f"WINNOW_LEDGER_{name}": value for name, value in env.items()},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def rebuild(servers: Addresses, database: Database, *options: str) -> tuple[int, str]:
    return ended(servers, database, "-m", "services.ledger.rebuild", *options)


def everything(database: Database) -> Rows:
    names = [
        collection_name
        for collection_name in database.list_collection_names()
        if collection_name != "store_leases"
    ]
    return {name: {row["_id"]: row for row in database[name].find()} for name in names}


def spoil(database: Database) -> None:
    database["state_2"].update_many({}, {"$set": {"spoilt": True}})
    database["entries"].delete_many({})


def empty(database: Database) -> None:
    for name in STORES:
        database.drop_collection(name)


@pytest.mark.parametrize(("before", "options"), [(spoil, ("--force",)), (empty, ())])
def test_a_rebuilding_that_was_killed_half_way_is_finished_by_the_next(
    servers: Addresses, database: Database, before: Any, options: tuple[str, ...]
) -> None:
    code, said = rebuild(servers, database)
    assert code == 0, said
    whole = everything(database)
    assert set(whole) == {"journal", *STORES}
    before(database)

    code, said = ended(servers, database, "-c", KILLED_AFTER_ONE, *options)
    assert code == -signal.SIGKILL, said
    half = everything(database)
    assert half["state_2"] == whole["state_2"]
    assert half.get("entries", {}) != whole["entries"]
    assert {name for name in half if name.startswith("rebuilt_")} == {
        f"rebuilt_{name}" for name in STORES[1:]
    }

    leases = database["store_leases"]
    # However slow this machine is, the lease of the killed one still counts, and then no longer.
    assert leases.update_many({}, {"$set": {"until_s": 9e9}}).matched_count == 1
    code, said = rebuild(servers, database, "--force")
    assert (code, "stores are held by rebuild-" in said) == (1, True), said
    assert everything(database) == half
    leases.update_many({}, {"$set": {"until_s": 0.0}})

    code, said = rebuild(servers, database)
    assert code == 1
    assert said.strip() == (
        f"winnow rebuild ledger: a rebuilding of {database.name} was interrupted; "
        "the same command with --force does it again"
    )
    assert everything(database) == half

    code, said = rebuild(servers, database, "--force")
    assert code == 0, said
    assert everything(database) == whole

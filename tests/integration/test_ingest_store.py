"""The stores of ingest on a real server: the same suite as the fakes, and the leases of HTTP shards."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from services.ingest.store.keys import MongoInputs, MongoKeys
from services.ingest.store.leases import HttpShards
from services.ingest.store.view_writer import MongoViewWriter
from services.ingest.store.views import MongoViews
from tests.contract.ingest.segment_suite import SegmentSuite
from tests.contract.ingest.store_suite import Stores, StoreSuite, history, task_named
from tests.support.clock import SetClock
from tests.support.database_calls import Counted
from winnow.adapters.mongo import Mongo
from winnow.contracts.errors import Unavailable
from winnow.local.stack import Addresses
from winnow.runtime.clock import random_bytes

pytestmark = pytest.mark.one_bus


@pytest.fixture
async def mongo(servers: Addresses) -> AsyncIterator[Mongo]:
    connection = Mongo(servers.mongo_uri, f"winnow_ingest_{random_bytes(4).hex()}")
    yield connection
    connection.close()


@pytest.fixture
def account() -> str:
    return f"acct_{random_bytes(4).hex()}"


@pytest.fixture
async def stores(mongo: Mongo) -> Stores:
    keys, views = MongoKeys(mongo.database), MongoViews(mongo.database)
    for _ in range(2):
        await keys.prepare()
        await views.prepare()
    return Stores(keys, MongoInputs(mongo.database), views, MongoViewWriter(mongo.database))


class TestMongoStores(StoreSuite):
    """The suite on the real server."""


class TestMongoSegments(SegmentSuite):
    """The suite of large tasks on the real server."""


async def test_a_save_calls_no_collection_that_it_has_nothing_for(stores: Stores, account: str):
    counted = Counted()
    await stores.writer.save(history(task_named("counted", account))[0])
    assert {name.split()[1] for name in counted.calls} == {"tasks"}, "a small task is its row"
    assert sum(counted.calls.values()) == 1


class Holder:
    """One instance with what its journal was told."""

    def __init__(self, mongo: Mongo, clock: SetClock, name: str, unsent: dict[str, list[object]]) -> None:
        self.owned: list[str] = []
        self.shards = HttpShards(mongo.database, self, self._unsent, clock, name)
        self._left = unsent

    def assign(self, shards: list[str]) -> None:
        self.owned += shards

    def revoke(self, shards: list[str]) -> None:
        self.owned = [shard for shard in self.owned if shard not in shards]

    async def _unsent(self, shard: str) -> list[object]:
        return self._left.get(shard, [])


async def test_instances_hold_different_shards_and_give_them_back(mongo: Mongo):
    clock, unsent = SetClock(), dict[str, list[object]]()
    first, second, third = (Holder(mongo, clock, name, unsent) for name in ("one", "two", "three"))
    await first.shards.claim()
    await second.shards.claim()
    assert (first.shards.shard(), second.shards.shard()) == ("http-0", "http-1")
    await first.shards.release()
    assert (first.shards.shard(), first.owned) == (None, [])
    await third.shards.claim()
    assert (third.shards.shard(), third.owned) == ("http-0", ["http-0"])


async def test_a_dead_instances_shard_is_adopted_until_everything_of_it_is_sent(mongo: Mongo):
    clock, unsent = SetClock(), dict[str, list[object]]({"http-0": ["a block"]})
    dead, alive = Holder(mongo, clock, "dead", unsent), Holder(mongo, clock, "alive", unsent)
    await dead.shards.claim()
    await alive.shards.claim()
    await alive.shards._adopt()
    assert alive.owned == ["http-1"]
    for _ in range(3):
        clock.at += timedelta(seconds=6)
        await alive.shards._renew()
    await alive.shards._adopt()
    assert alive.owned == ["http-1", "http-0"]
    assert alive.shards.shard() == "http-1"
    unsent.clear()
    await alive.shards._adopt()
    await alive.shards._adopt()
    assert alive.owned == ["http-1"]


async def test_an_instance_that_could_not_renew_in_time_stops_writing_and_claims_again(mongo: Mongo):
    clock, unsent = SetClock(), dict[str, list[object]]()
    slow, quick = Holder(mongo, clock, "slow", unsent), Holder(mongo, clock, "quick", unsent)
    await slow.shards.claim()
    clock.at += timedelta(seconds=16)
    assert slow.shards.shard() is None
    await quick.shards.claim()
    assert quick.shards.shard() == "http-0"
    await slow.shards._renew()
    assert (slow.shards.shard(), slow.owned) == ("http-1", ["http-1"])


@pytest.mark.parametrize("name", ["candidates", "task_events"])
async def test_a_read_model_of_an_older_build_is_refused_until_it_is_rebuilt(mongo: Mongo, name: str):
    views = MongoViews(mongo.database)
    await mongo.database[name].insert_one({"_id": "of an older build"})
    with pytest.raises(Unavailable, match="winnow rebuild ingest --force"):
        await views.prepare()
    await mongo.database[name].drop()
    await views.prepare()

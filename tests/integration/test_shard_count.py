"""The number of shards that a deployment is created with, on the real database: said once, by whoever is first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing
from itertools import count

import pytest

from winnow.adapters.mongo import Mongo
from winnow.contracts.errors import Unavailable
from winnow.local.stack import Addresses

pytestmark = pytest.mark.one_bus

INSTANCES = 8
ROUNDS = 20
_NUMBERS = count()


@pytest.fixture
async def instances(servers: Addresses) -> AsyncIterator[list[Mongo]]:
    database = f"test_shard_count_{next(_NUMBERS)}"
    async with AsyncExitStack() as opened:
        mongos = [opened.enter_context(closing(Mongo(servers.mongo_uri, database))) for _ in range(INSTANCES)]
        opened.push_async_callback(mongos[0].database.client.drop_database, database)
        yield mongos


async def test_instances_that_start_together_agree(instances: list[Mongo]) -> None:
    await asyncio.gather(*(instance.ping() for instance in instances))
    for _ in range(ROUNDS):
        await instances[0].database["deployment"].delete_many({})
        await asyncio.gather(*(instance.fix_shards(4) for instance in instances))
        assert await instances[0].fixed_shards() == 4


async def test_one_of_two_that_disagree_is_refused(instances: list[Mongo]) -> None:
    first, second = await asyncio.gather(
        instances[0].fix_shards(4), instances[1].fix_shards(8), return_exceptions=True
    )
    kept = await instances[0].fixed_shards()
    refused = second if kept == 4 else first
    assert (first if kept == 4 else second) is None
    assert isinstance(refused, Unavailable)
    assert f"was created with {kept} shards" in str(refused)
    with pytest.raises(Unavailable, match=f"created with {kept} shards, the setting says 16"):
        await instances[2].fix_shards(16)

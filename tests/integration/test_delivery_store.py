"""The stores of delivery on a real database: the same suite as the fakes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import count

import pytest

from services.delivery.store import EndpointStore, IndexStore
from tests.unit.delivery.store_suite import EndpointSuite, IndexSuite
from winnow.adapters.mongo import Mongo
from winnow.local.stack import Addresses

_NUMBERS = count()

pytestmark = pytest.mark.one_bus


@pytest.fixture
async def mongo(servers: Addresses) -> AsyncIterator[Mongo]:
    connection = Mongo(servers.mongo_uri, f"test_delivery_store_{next(_NUMBERS)}")
    yield connection
    await connection.database.client.drop_database(connection.database.name)
    connection.close()


class TestEndpointStore(EndpointSuite):
    @pytest.fixture
    async def endpoints(self, mongo: Mongo) -> EndpointStore:
        store = EndpointStore(mongo.database)
        await store.prepare()
        await store.prepare()
        return store


class TestIndexStore(IndexSuite):
    @pytest.fixture
    async def index(self, mongo: Mongo) -> IndexStore:
        store = IndexStore(mongo.database)
        await store.prepare()
        await store.prepare()
        return store

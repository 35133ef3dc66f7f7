"""The connections that most services need, and the document store's, which the scorer does without."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial
from typing import Final

from winnow.adapters.bus import Bus
from winnow.adapters.connections import connect_bus, connect_objects
from winnow.adapters.leases import Purpose, StoreLease
from winnow.adapters.mongo import Mongo
from winnow.adapters.object_store import ObjectStore
from winnow.contracts.journals import database_of
from winnow.runtime.backoff import until_available
from winnow.runtime.clock import random_bytes
from winnow.runtime.service import Service
from winnow.runtime.settings import ServiceSettings

_RELEASE_WITHIN_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Resources:
    """Connections of one process."""

    mongo: Mongo
    objects: ObjectStore
    bus: Bus


def connect(service: Service, settings: ServiceSettings) -> Resources:
    """Make all connections, as ``connect_mongo``, ``connect_objects`` and ``connect_bus`` do."""
    return Resources(
        connect_mongo(service, settings), connect_objects(service, settings), connect_bus(service, settings)
    )


def connect_mongo(service: Service, settings: ServiceSettings) -> Mongo:
    """Connect to the document store: waited for at the start, probed, closed at the end.

    The service's stores are leased for its life, so that nobody rebuilds them meanwhile.
    """
    mongo = Mongo(settings.mongo_uri.get_secret_value(), settings.mongo_database or database_of(service.name))

    async def mongo_ready() -> None:
        await until_available(mongo.ping, settings.instance, part="mongodb")
        await mongo.fix_shards(settings.shards)

    holder = f"{settings.instance}-{random_bytes(6).hex()}"
    lease = StoreLease(mongo.database, service.clock, holder, Purpose.serving)

    async def close() -> None:
        try:
            # A lease that is not released in time expires.
            async with asyncio.timeout(_RELEASE_WITHIN_S):
                await lease.release()
        finally:
            mongo.close()

    service.add_start(mongo_ready)
    service.add_start(partial(until_available, lease.take, settings.instance, part="the stores"))
    service.add_task("stores", lease.run)
    service.add_check("mongodb", mongo.ping)
    service.add_close(close)
    return mongo

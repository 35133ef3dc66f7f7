"""The parts most services are built from, wired to the life of a service."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pymongo.errors import PyMongoError

from winnow.contracts.errors import Unavailable, WinnowError
from winnow.runtime.bus import Bus
from winnow.runtime.clock import random_bytes
from winnow.runtime.journal import Decider, Journal, Listener, MongoJournalStore
from winnow.runtime.journal.journal import SAVE_EVERY_S
from winnow.runtime.journal.model import S, state_format_of
from winnow.runtime.leases import Purpose, StoreLease
from winnow.runtime.log import get_logger
from winnow.runtime.mongo import Mongo
from winnow.runtime.object_store import ObjectStore
from winnow.runtime.service import Service
from winnow.runtime.settings import ServiceSettings
from winnow.runtime.topics import check_topics

_log = get_logger(__name__)
_START_WITHIN_S = 60.0
_RELEASE_WITHIN_S = 2.0


@dataclass(frozen=True, slots=True)
class Resources:
    """Connections of one process."""

    mongo: Mongo
    objects: ObjectStore
    bus: Bus


def connect(service: Service, settings: ServiceSettings) -> Resources:
    """Make the connections and tie them to the service: waited for at start, probed, closed at the end.

    The service's stores are held for its life, so that nobody makes them again below its feet.
    """
    mongo = Mongo(settings.mongo_uri.get_secret_value(), settings.mongo_database or f"winnow_{service.name}")
    objects = ObjectStore(
        settings.s3_endpoint,
        settings.s3_region,
        settings.s3_access_key.get_secret_value(),
        settings.s3_secret_key.get_secret_value(),
    )
    bus = Bus(settings, service.name)

    async def mongo_ready() -> None:
        await _wait_for("mongodb", mongo.ping)
        await mongo.fix_shards(settings.shards)

    async def objects_ready() -> None:
        await _wait_for("object store", lambda: objects.ping(settings.private_bucket))

    holder = f"{settings.instance}-{random_bytes(6).hex()}"
    lease = StoreLease(mongo.database, service.clock, holder, Purpose.serving)

    async def stores_held() -> None:
        await _wait_for("the stores", lease.take)

    async def close() -> None:
        try:
            # Not given back in time, it runs out by itself.
            async with asyncio.timeout(_RELEASE_WITHIN_S):
                await lease.release()
        finally:
            mongo.close()
            await objects.close()

    service.add_start(mongo_ready)
    service.add_start(stores_held)
    service.add_task("stores", lease.run)
    service.add_start(objects_ready)
    service.add_check("mongodb", mongo.ping)
    service.add_check("objects", lambda: objects.ping(settings.private_bucket))
    service.add_check("kafka", bus.ping)
    service.add_close(close)
    return Resources(mongo, objects, bus)


def journal_of(
    service: Service,
    resources: Resources,
    decider: Decider[S],
    *,
    listener: Listener[S] | None = None,
    inputs_unique_everywhere: bool = False,
    collections: str = "",
    save_every_s: float = SAVE_EVERY_S,
) -> Journal[S]:
    """Build a journal on the service's database and run it for the life of the service.

    ``collections`` prefixes the collection names, for a service that keeps two journals.
    """
    store = MongoJournalStore(
        resources.mongo.database,
        inputs_unique_everywhere=inputs_unique_everywhere,
        prefix=collections,
        state_format=state_format_of(decider),
    )
    shards, clock = service.settings.shards, service.clock
    journal = Journal(
        decider, store, resources.bus, clock, shards=shards, listener=listener, save_every_s=save_every_s
    )
    service.add_start(store.prepare)
    service.add_task(f"{collections}journal", journal.run)
    service.add_held(f"{collections}journal", journal.held_shards)
    return journal


def run_bus(
    service: Service, resources: Resources, topics: Sequence[str], journals: Sequence[Journal[Any]] = ()
) -> None:
    """Start the bus after everything added so far; at the stop it reads no more, the journals drain, it ends."""

    async def start() -> None:
        await check_topics(service.settings.kafka_bootstrap, list(topics), shards=service.settings.shards)
        await resources.bus.start()

    async def joined() -> bool:
        return resources.bus.joined

    service.add_start(start)
    service.add_check("group", joined)
    service.add_drain(resources.bus.stop_reading)
    for journal in journals:
        service.add_drain(journal.drain)
    service.add_close(resources.bus.stop)


async def _wait_for(name: str, ping: Any) -> None:
    deadline = asyncio.get_running_loop().time() + _START_WITHIN_S
    while True:
        try:
            await ping()
        except (PyMongoError, WinnowError) as error:
            why = error.detail if isinstance(error, WinnowError) else "it does not answer"
            if asyncio.get_running_loop().time() > deadline:
                detail = f"{name} cannot be used: {why}"
                raise Unavailable(detail) from error
            _log.warning("service.start.waiting", part=name, why=why)
            await asyncio.sleep(0.5)
        else:
            return

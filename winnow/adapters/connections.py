"""Connections of a service to its servers, wired to the life of the service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

from winnow.adapters.bus import Bus
from winnow.adapters.object_store import ObjectStore
from winnow.adapters.topics import check_topics
from winnow.runtime.backoff import until_available
from winnow.runtime.service import Service
from winnow.runtime.settings import ServiceSettings

Step = Callable[[], Awaitable[object]]


def connect_objects(service: Service, settings: ServiceSettings) -> ObjectStore:
    """Connect to the object store: waited for at the start, probed, closed at the end."""
    objects = ObjectStore(
        settings.s3_endpoint,
        settings.s3_region,
        settings.s3_access_key.get_secret_value(),
        settings.s3_secret_key.get_secret_value(),
    )
    ping = partial(objects.ping, settings.private_bucket)
    service.add_start(partial(until_available, ping, settings.instance, part="object store"))
    service.add_check("objects", ping)
    service.add_close(objects.close)
    return objects


def connect_bus(service: Service, settings: ServiceSettings) -> Bus:
    """Prepare the bus, which ``run_bus`` starts; it is probed from the service's start on."""
    bus = Bus(settings, service.name)
    service.add_check("kafka", bus.ping)
    return bus


def run_bus(service: Service, bus: Bus, topics: Sequence[str], drains: Sequence[Step] = ()) -> None:
    """Start the bus after everything added so far; at the stop it reads no more, ``drains`` run in order, it ends."""

    async def start() -> None:
        await check_topics(service.settings.kafka_bootstrap, list(topics), shards=service.settings.shards)
        await bus.start()

    async def joined() -> bool:
        return bus.joined

    service.add_start(start)
    service.add_check("group", joined)
    service.add_drain(bus.stop_reading)
    for drain in drains:
        service.add_drain(drain)
    service.add_close(bus.stop)

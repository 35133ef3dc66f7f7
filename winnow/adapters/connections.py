"""Connections of a service to its servers, wired to the life of the service."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from winnow.adapters.bus import Bus
from winnow.adapters.object_store import ObjectStore
from winnow.adapters.topics import check_topics
from winnow.contracts.errors import Unavailable, WinnowError
from winnow.runtime.log import get_logger
from winnow.runtime.service import Service
from winnow.runtime.settings import ServiceSettings

_log = get_logger(__name__)
_START_WITHIN_S = 60.0
Step = Callable[[], Awaitable[object]]


def connect_objects(service: Service, settings: ServiceSettings) -> ObjectStore:
    """Connect to the object store: waited for at the start, probed, closed at the end."""
    objects = ObjectStore(
        settings.s3_endpoint,
        settings.s3_region,
        settings.s3_access_key.get_secret_value(),
        settings.s3_secret_key.get_secret_value(),
    )

    async def objects_ready() -> None:
        await wait_for("object store", lambda: objects.ping(settings.private_bucket))

    service.add_start(objects_ready)
    service.add_check("objects", lambda: objects.ping(settings.private_bucket))
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


async def wait_for(name: str, ping: Step) -> None:
    """Repeat ``ping`` until it raises no error of the project; raises Unavailable when that takes too long."""
    deadline = asyncio.get_running_loop().time() + _START_WITHIN_S
    while True:
        try:
            await ping()
        except WinnowError as error:
            if asyncio.get_running_loop().time() > deadline:
                detail = f"{name} cannot be used: {error.detail}"
                raise Unavailable(detail) from error
            _log.warning("service.start.waiting", part=name, why=error.detail)
            await asyncio.sleep(0.5)
        else:
            return

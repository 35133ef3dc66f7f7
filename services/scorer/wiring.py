"""Wires the rooms of the scorer into a service."""

from __future__ import annotations

import asyncio
import os
from functools import partial
from pathlib import Path

from services.scorer.app import PICTURE_BYTES_MAX, Scorer
from services.scorer.app.ports import Profiles
from services.scorer.bus import ScoreConsumer
from services.scorer.clients.objects import StoredPictures
from services.scorer.clients.profiles import BUILT_IN, load_profiles
from services.scorer.clients.rules import CelRules
from services.scorer.domain.measures import LAZY
from services.scorer.engine.device_process import DeviceUnusable
from services.scorer.engine.pool import ScoringPool
from services.scorer.inference.manifest import BUILT, manifest_versions
from services.scorer.inference.models import model_versions
from services.scorer.rpc import SERVICE_NAME, ScorerService
from services.scorer.settings import ScorerSettings
from winnow.contracts.errors import Unavailable
from winnow.contracts.topics import SCORER_COMMAND_TOPIC, TASKS
from winnow.runtime.bus import Bus
from winnow.runtime.log import get_logger
from winnow.runtime.object_store import ObjectStore
from winnow.runtime.service import Service
from winnow.runtime.topics import check_topics

_log = get_logger(__name__)
_OBJECTS_WITHIN_S = 60.0


def build(settings: ScorerSettings) -> Service:
    """Wire the scorer; nothing starts before ``Service.run``. Raises ProfileInvalid for a wrong profile file."""
    service = Service("scorer", settings)
    rules = CelRules()
    profiles = load_profiles(Path(settings.profiles_dir) if settings.profiles_dir else BUILT_IN, rules)
    processes = settings.processes or len(os.sched_getaffinity(0))
    pool = _pool(settings, processes)
    models_dir = Path(settings.models_dir) if settings.models_dir else BUILT
    mounted = manifest_versions(Path(settings.mounted_models_dir)) if settings.mounted_models_dir else {}
    objects = ObjectStore(
        settings.s3_endpoint,
        settings.s3_region,
        settings.s3_access_key.get_secret_value(),
        settings.s3_secret_key.get_secret_value(),
    )
    bus = Bus(settings, "scorer")
    scorer = Scorer(
        objects=StoredPictures(objects, PICTURE_BYTES_MAX),
        measurer=pool,
        profiles=profiles,
        rules=rules,
        models=model_versions() | manifest_versions(models_dir) | mounted,
        reads_max=4 * processes,
    )
    ScoreConsumer(scorer, bus, now=service.clock.now, shards=settings.shards).subscribe(bus)

    async def objects_ready() -> None:
        async with asyncio.timeout(_OBJECTS_WITHIN_S):
            while True:
                try:
                    return await objects.ping(settings.private_bucket)
                except Unavailable:
                    _log.warning("service.start.waiting", part="object store")
                    await asyncio.sleep(0.5)

    async def start_bus() -> None:
        topics = [SCORER_COMMAND_TOPIC.name, TASKS.name]
        await check_topics(settings.kafka_bootstrap, topics, shards=settings.shards)
        await bus.start()

    async def pool_started() -> bool:
        return pool.is_started()

    async def device_ready() -> bool:
        return pool.has_device()

    async def joined() -> bool:
        return bus.joined

    async def close() -> None:
        pool.stop()
        await objects.close()

    service.add_start(partial(_start, pool, profiles))
    service.add_start(objects_ready)
    service.add_start(start_bus)
    service.add_check("pool", pool_started)
    service.add_check("device", device_ready)
    service.add_check("objects", lambda: objects.ping(settings.private_bucket))
    service.add_check("kafka", bus.ping)
    service.add_check("group", joined)
    service.add_drain(bus.stop)
    service.add_close(close)
    service.add_grpc(SERVICE_NAME, ScorerService(scorer).register)
    return service


def _pool(settings: ScorerSettings, processes: int) -> ScoringPool:
    return ScoringPool(
        processes,
        memory_max_bytes=settings.process_memory_max_bytes,
        picture_timeout_s=settings.picture_timeout_s,
        models_dir=settings.models_dir,
        mounted_models_dir=settings.mounted_models_dir,
        device=settings.device_order(),
    )


async def _start(pool: ScoringPool, profiles: Profiles) -> None:
    wanted = frozenset[str]().union(*(profile.wanted() for profile in profiles.all()))
    try:
        complete = await pool.start(wanted - LAZY)
    except DeviceUnusable as error:
        _log.error("scorer.device.unusable", reason=str(error))
        raise
    if not complete:
        _log.error("scorer.models.missing")

"""Wires the rooms of the scorer into a service."""

from __future__ import annotations

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
from winnow.adapters.connections import connect_bus, connect_objects, run_bus
from winnow.contracts.topics import SCORER_COMMAND_TOPIC, TASKS
from winnow.runtime.log import get_logger
from winnow.runtime.service import Service

_log = get_logger(__name__)


def build(settings: ScorerSettings) -> Service:
    """Wire the scorer; nothing starts before ``Service.run``. Raises ProfileInvalid for a wrong profile file."""
    service = Service("scorer", settings)
    rules = CelRules()
    profiles = load_profiles(Path(settings.profiles_dir) if settings.profiles_dir else BUILT_IN, rules)
    processes = settings.processes or len(os.sched_getaffinity(0))
    pool = _pool(settings, processes)
    models_dir = Path(settings.models_dir) if settings.models_dir else BUILT
    mounted = manifest_versions(Path(settings.mounted_models_dir)) if settings.mounted_models_dir else {}
    service.add_start(partial(_start, pool, profiles))
    objects = connect_objects(service, settings)
    bus = connect_bus(service, settings)
    scorer = Scorer(
        objects=StoredPictures(objects, PICTURE_BYTES_MAX),
        measurer=pool,
        profiles=profiles,
        rules=rules,
        models=model_versions() | manifest_versions(models_dir) | mounted,
        reads_max=4 * processes,
    )
    ScoreConsumer(scorer, bus, clock=service.clock, shards=settings.shards).subscribe(bus)

    async def pool_started() -> bool:
        return pool.is_started()

    async def device_ready() -> bool:
        return pool.has_device()

    async def stop_pool() -> None:
        pool.stop()

    service.add_check("pool", pool_started)
    service.add_check("device", device_ready)
    service.add_close(stop_pool)
    run_bus(service, bus, [SCORER_COMMAND_TOPIC.name, TASKS.name])
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

"""The pool outlives any picture, and a picture never costs its neighbours."""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.scorer.domain.measures import DECODABLE, EYES_OPEN, FACE_COUNT, SHARPNESS
from services.scorer.engine.measure import measure_bytes
from services.scorer.engine.pool import ScoringPool, warm_up_picture
from tests.unit.scorer import fatal
from tests.unit.scorer.loaded import loaded_models
from tests.unit.scorer.photographs import png, portrait
from winnow.contracts.values import MeasureStatus

WANTED = frozenset({DECODABLE, SHARPNESS})


@pytest.fixture
def processes() -> int:
    return 1


@pytest.fixture
async def pool(processes: int) -> AsyncIterator[ScoringPool]:
    pool = ScoringPool(processes, measure=fatal.measure)
    assert await pool.start(WANTED | {EYES_OPEN, FACE_COUNT})
    yield pool
    pool.stop()


async def test_pool_measures_like_the_calling_process(pool: ScoringPool) -> None:
    content = png(portrait())
    assert await pool.measure(content, WANTED) == measure_bytes(content, WANTED, loaded_models())


@pytest.mark.parametrize("processes", [2])
@pytest.mark.parametrize("fatality", [fatal.KILLS, fatal.HANGS])
async def test_pool_gives_up_only_the_picture_that_kills(pool: ScoringPool, fatality: bytes) -> None:
    content = warm_up_picture()
    contents = [content, content, fatality, content, content]
    measured = await asyncio.gather(*(pool.measure(picture, WANTED) for picture in contents))
    died = measured.pop(2)
    assert {measurement.status for measurement in died.measurements} == {MeasureStatus.failure_to_assess}
    assert {measurement.evidence["reason"] for measurement in died.measurements} == {"process_died"}
    assert all(result == measured[0] for result in measured)
    assert measured[0].by_name()[DECODABLE].raw == 1.0
    assert pool.rebuilt_count >= 1


async def test_pool_refuses_memory_beyond_its_limit_without_dying(pool: ScoringPool) -> None:
    with pytest.raises(MemoryError):
        await pool.measure(fatal.EATS_MEMORY, WANTED)
    assert (await pool.measure(warm_up_picture(), WANTED)).by_name()[DECODABLE].raw == 1.0
    assert pool.rebuilt_count == 0


async def test_pool_refuses_work_before_it_started() -> None:
    with pytest.raises(RuntimeError):
        await ScoringPool(1).measure(b"", WANTED)


def openmp_threads() -> list[int]:
    """Return how many threads each OpenMP library of this process would use."""
    loaded = {line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines()}
    libraries = [name for name in loaded if Path(name).name.startswith("libgomp")]
    return [ctypes.CDLL(name).omp_get_max_threads() for name in libraries]


async def test_worker_runs_on_one_thread_of_its_own_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    pool = ScoringPool(1)
    try:
        assert await pool.start(WANTED | {FACE_COUNT})
        executor = pool._executor
        assert executor is not None
        process_id = await asyncio.wrap_future(executor.submit(os.getpid))
        threads = await asyncio.wrap_future(executor.submit(openmp_threads))
    finally:
        pool.stop()
    assert process_id != os.getpid()
    assert threads == [1]

"""CPU of one picture where the line works on it beside scoring: the router's check and delivery's finishing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from services.delivery.clients.images import ImageFinisher
from services.router.clients.media import TaskMedia
from tests.bench.report import Report
from tests.bench.scorer import headshots
from winnow.contracts.errors import NotFound

_PICTURES: Final = 8
_ROUNDS: Final = 5
_PIXELS_MAX: Final = 50_000_000
_THUMBNAIL_PX: Final = 256


class _NoStore:
    """An object store that costs nothing: what is put is gone."""

    async def get(self, bucket: str, key: str, max_bytes: int) -> bytes:
        raise NotFound(f"{bucket}/{key} of at most {max_bytes} bytes was not kept")

    async def put(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        assert bucket, (key, len(body), content_type)


def picture_costs(report: Report) -> None:
    """Note what the router and delivery spend on a JPEG of a megapixel."""
    contents = headshots(_PICTURES)
    media = TaskMedia(_NoStore(), "winnow-private")
    finisher = ImageFinisher(threads=1, pixels_max=_PIXELS_MAX, thumbnail_px=_THUMBNAIL_PX)

    async def check(content: bytes) -> None:
        await media.store_candidate(account_id="acct_a", task_id="t", candidate_id="c", content=content)

    async def finish(content: bytes) -> None:
        await finisher.finish(content)

    try:
        for name, work, aim in (
            ("decode: the router's check of a JPEG of a megapixel", check, 1.0),
            ("finishing: delivery's work on a JPEG of a megapixel", finish, 19.0),
        ):
            report.add_sample(name, asyncio.run(_cpu_ms(work, contents)), "ms of CPU", at_most=aim)
    finally:
        finisher.close()


async def _cpu_ms(work: Callable[[bytes], Awaitable[None]], contents: Sequence[bytes]) -> list[float]:
    """Return the CPU of this process for each piece of work, its threads included."""
    await work(contents[0])
    found = []
    for content in [*contents] * _ROUNDS:
        started = time.process_time()
        await work(content)
        found.append((time.process_time() - started) * 1000)
    return found

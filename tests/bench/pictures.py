"""CPU of one picture where the line works on it beside scoring: the router's check and delivery's finishing.

One picture at a time, of the whole process with its threads; the store keeps nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

import cv2
from rich.progress import track

from services.delivery.clients.images import ImageFinisher
from services.delivery.domain.outputs import THUMBNAIL_PX
from services.router.clients.media import TaskMedia
from simulators.photos.studio import Subject
from simulators.renderer import Renderer, RenderRequest
from tests.bench.report import Report
from tests.bench.scorer import headshots
from tests.support.opencv import decoded
from winnow.contracts.errors import NotFound
from winnow.contracts.values import StoredObject

_PICTURES: Final = 8
_SAMPLES: Final = 56
_PIXELS_MAX: Final = 40_000_000
_SIDE: Final = 1024
_SUBJECTS: Final = (Subject.headshot, Subject.product)
ROUTER_AIM_MS: Final = 1.0
FINISHING_AIM_MS: Final = 19.0
ENCODERS: Final[Mapping[str, tuple[str, list[int]]]] = {
    "JPEG, quality 75": (".jpg", [cv2.IMWRITE_JPEG_QUALITY, 75]),
    "JPEG, quality 95": (".jpg", [cv2.IMWRITE_JPEG_QUALITY, 95]),
    "PNG": (".png", []),
    "WebP, quality 90": (".webp", [cv2.IMWRITE_WEBP_QUALITY, 90]),
}


class _NoStore:
    """An object store that costs nothing: what is put is gone."""

    async def get(self, bucket: str, key: str, max_bytes: int) -> bytes:
        raise NotFound(f"{bucket}/{key} of at most {max_bytes} bytes was not kept")

    async def put(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        assert bucket, (key, len(body), content_type)


def picture_costs(report: Report) -> None:
    """Note what the router and delivery spend on a JPEG of a megapixel."""
    router, finishing = costs_ms(headshots(_PICTURES))
    report.add_sample(
        "decode: the router's check of a JPEG of a megapixel", router, "ms of CPU", at_most=ROUTER_AIM_MS
    )
    report.add_sample(
        "finishing: delivery's work on a JPEG of a megapixel",
        finishing,
        "ms of CPU",
        at_most=FINISHING_AIM_MS,
    )


def costs_ms(contents: Sequence[bytes], samples: int = _SAMPLES) -> tuple[list[float], list[float]]:
    """Return the CPU of the router's check and of finishing, for each sample."""
    media = TaskMedia(_NoStore(), "winnow-private")
    finisher = ImageFinisher(threads=1, pixels_max=_PIXELS_MAX, thumbnail_px=THUMBNAIL_PX)

    async def check(content: bytes) -> None:
        await media.store_candidate(account_id="acct_a", task_id="t", candidate_id="c", content=content)

    stored = {content: _stored(content) for content in contents}

    async def finish(content: bytes) -> None:
        await finisher.finish(content, stored[content])

    try:
        return asyncio.run(_cpu_ms(check, contents, samples)), asyncio.run(_cpu_ms(finish, contents, samples))
    finally:
        finisher.close()


def _stored(content: bytes) -> StoredObject:
    return StoredObject(
        bucket="winnow-private",
        key="c",
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        content_type="application/octet-stream",
    )


async def _cpu_ms(
    work: Callable[[bytes], Awaitable[None]], contents: Sequence[bytes], samples: int
) -> list[float]:
    """Return the CPU of this process for each piece of work, its threads included; the first round warms up."""
    found = []
    for number in range(samples + len(contents)):
        started = time.process_time()
        await work(contents[number % len(contents)])
        found.append((time.process_time() - started) * 1000)
    return found[len(contents) :]


def _drawn() -> dict[str, list[bytes]]:
    """Return the simulators' pictures of a megapixel by form."""
    renderer = Renderer()
    found: dict[str, list[bytes]] = {form: [] for form in ENCODERS}
    for number in range(_PICTURES):
        request = RenderRequest((91, number), _SUBJECTS[number % len(_SUBJECTS)], (_SIDE, _SIDE), "png")
        pixels = decoded(renderer.render(request).content)
        for form, (extension, options) in ENCODERS.items():
            found[form].append(cv2.imencode(extension, pixels, options)[1].tobytes())
    return found


def main() -> None:
    """Measure every form of picture."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--samples", type=int, default=_SAMPLES)
    samples = parser.parse_args().samples
    report = Report("picture")
    for form, contents in track(_drawn().items(), "Measuring"):
        router, finishing = costs_ms(contents, samples)
        is_jpeg = form.startswith("JPEG")
        report.add(f"{form}: size", sum(map(len, contents)) / len(contents) / 1000, "kB")
        report.add_sample(f"{form}: router", router, "ms of CPU", at_most=ROUTER_AIM_MS if is_jpeg else None)
        report.add_sample(
            f"{form}: finishing", finishing, "ms of CPU", at_most=FINISHING_AIM_MS if is_jpeg else None
        )
    report.close()


if __name__ == "__main__":
    main()

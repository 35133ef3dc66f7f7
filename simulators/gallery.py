"""Gallery of a simulated provider: pictures are made, kept for download, and their truth recorded."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from typing import Final, ParamSpec, TypeVar

import numpy as np

from simulators.defects import Defect, draw_defect
from simulators.generation import Generation, ServedPicture
from simulators.photos.advert import wording_of
from simulators.photos.studio import Subject
from simulators.provider_profile import Controls, ProviderProfile
from simulators.renderer import (
    OutputFormat,
    RenderedPicture,
    Renderer,
    RenderRequest,
    prompt_fingerprint,
    subject_of,
)
from winnow.runtime.clock import Clock

_RENDER_THREADS: Final = 2
# The stream of randomness that decides on defects, apart from the one that draws the picture.
_DEFECT: Final = 14

P = ParamSpec("P")
T = TypeVar("T")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class _Held:
    made: RenderedPicture
    born_s: float


class Gallery:
    """Makes and holds pictures. All methods belong to one event loop; rendering has threads of its own."""

    def __init__(
        self,
        profile: ProviderProfile,
        controls: Controls,
        *,
        seed: tuple[int, ...],
        clock: Clock,
        renderer: Renderer | None = None,
    ) -> None:
        """Open an empty gallery; a given renderer is shared instead of prepared anew."""
        self._profile = profile
        self._controls = controls
        self._seed = seed
        self._clock = clock
        self._renderer = renderer
        self._files: OrderedDict[str, _Held] = OrderedDict()
        self._truth: OrderedDict[str, dict[str, object]] = OrderedDict()
        self._pools: dict[tuple[Subject, OutputFormat], list[RenderedPicture]] = {}
        self._pool_turn = 0
        self._last_good: dict[Subject, tuple[int, ...]] = {}
        self._renderers = ThreadPoolExecutor(_RENDER_THREADS, thread_name_prefix="render")

    async def prepare(self) -> None:
        """Make ready everything that takes time: cutouts, and the pool of an instant profile."""
        if self._renderer is None:
            self._renderer = await self._in_thread(Renderer)
        if self._profile.pool_size:
            for subject in (Subject.headshot, Subject.product):
                await self._pool(subject, "jpeg")

    def close(self) -> None:
        """Drop what is still to be rendered."""
        self._renderers.shutdown(wait=False, cancel_futures=True)

    async def fill(self, generation: Generation) -> None:
        """Make what was asked for and put it where it can be fetched."""
        for index, made in enumerate(await self._prints(generation)):
            generation.pictures.append(self._serve(generation, index, made))

    def file(self, name: str) -> RenderedPicture | None:
        """Return a served picture, unless its link has expired."""
        stored = self._files.get(name)
        if stored is None or self._controls.links_expired:
            return None
        age_s = self._clock.monotonic_s() - stored.born_s
        return stored.made if age_s <= self._controls.result_ttl_s else None

    def truth(self) -> list[dict[str, object]]:
        """Return the truth of every picture served so far, oldest first."""
        return list(self._truth.values())

    async def _prints(self, generation: Generation) -> list[RenderedPicture]:
        wanted = generation.wanted
        subject = Subject.cut_out if wanted.transparent else subject_of(wanted.prompt)
        if self._profile.pool_size:
            pool = await self._pool(subject, wanted.output_format)
            first, self._pool_turn = self._pool_turn, self._pool_turn + wanted.image_count
            return [pool[(first + index) % len(pool)] for index in range(wanted.image_count)]
        orders = [self._order(generation, subject, index) for index in range(wanted.image_count)]
        return [await self._in_thread(self._render, order) for order in orders]

    def _order(self, generation: Generation, subject: Subject, index: int) -> RenderRequest:
        fingerprint = prompt_fingerprint(generation.wanted.prompt)
        key = (*self._seed, fingerprint, generation.seed, index)
        if self._controls.forced_defects:
            defect = self._controls.forced_defects.pop(0)
        else:
            rng = np.random.default_rng((*key, _DEFECT))
            defect = draw_defect(rng, subject, self._controls.defect_rate)
        repeats = self._last_good.get(subject)
        if defect is Defect.near_duplicate and repeats is None:
            defect = None
        if defect is None:
            self._last_good[subject] = key
        wanted = generation.wanted
        wording = wording_of(wanted.prompt)
        return RenderRequest(key, subject, wanted.size, wanted.output_format, defect, repeats, wording)

    async def _pool(self, subject: Subject, output_format: OutputFormat) -> list[RenderedPicture]:
        pool = self._pools.get((subject, output_format))
        if pool is None:
            size = (self._profile.pool_side_px, self._profile.pool_side_px)
            pool = []
            for turn in range(self._profile.pool_size):
                key = (*self._seed, turn)
                defect = draw_defect(
                    np.random.default_rng((*key, _DEFECT)), subject, self._profile.defect_rate
                )
                order = RenderRequest(key, subject, size, output_format, defect)
                pool.append(await self._in_thread(self._render, order))
            self._pools[subject, output_format] = pool
        return pool

    def _render(self, order: RenderRequest) -> RenderedPicture:
        if self._renderer is None:
            raise RuntimeError("the world is used before it is prepared")
        return self._renderer.render(order)

    def _serve(self, generation: Generation, index: int, made: RenderedPicture) -> ServedPicture:
        mark = hashlib.blake2b(f"{self._seed}/{generation.request_id}/{index}".encode(), digest_size=15)
        name = (
            base64.b32encode(mark.digest()).decode().lower() + "." + made.content_type.removeprefix("image/")
        )
        self._files[name] = _Held(made, self._clock.monotonic_s())
        forget_oldest(self._files, self._profile.files_kept)
        self._truth[made.sha256] = {
            "sha256": made.sha256,
            "defect": made.defect,
            "dimension": made.dimensions[0] if made.dimensions else None,
            "dimensions": list(made.dimensions),
            "provider": self._profile.provider,
            "subject": made.subject,
            "request_id": generation.request_id,
            "image_index": index,
            "seed": generation.seed,
            "prompt_sha256": _sha256(generation.wanted.prompt),
            "price_usd_micro": generation.price_usd_micro,
        }
        forget_oldest(self._truth, self._profile.truth_kept)
        return ServedPicture(name, made)

    async def _in_thread(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._renderers, lambda: work(*arguments, **named))


def forget_oldest(kept: OrderedDict[str, V], limit: int) -> None:
    """Keep the newest ``limit`` entries."""
    for name in list(islice(kept, max(0, len(kept) - limit))):
        del kept[name]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

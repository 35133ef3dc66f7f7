"""A simulated provider's world: who is let in, what goes wrong, what waits, what runs, what is billed."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections import OrderedDict
from collections.abc import Coroutine
from enum import StrEnum
from typing import Any

import numpy as np

from simulators.gallery import Gallery, forget_oldest
from simulators.generation import Generation, Stage, Wanted
from simulators.provider_profile import Control, Controls, ProviderProfile
from simulators.renderer import Renderer, prompt_fingerprint
from winnow.runtime.clock import Clock, SystemClock

_logger = logging.getLogger(__name__)

# Streams of randomness: a change of one kind of fault leaves the others as they were.
_FATE, _SEED, _LATENCY = 11, 12, 13


class Outcome(StrEnum):
    """Fate of a generation request at the door."""

    accepted = "accepted"
    reply_lost = "reply_lost"
    outage = "outage"
    too_many = "too_many"
    error = "error"
    hang = "hang"
    filtered = "filtered"


class World:
    """One provider. All methods belong to one event loop; rendering happens in threads of its own."""

    def __init__(
        self,
        profile: ProviderProfile,
        *,
        seed: int,
        time_scale: float = 1.0,
        renderer: Renderer | None = None,
        clock: Clock | None = None,
    ) -> None:
        """Make a world; ``time_scale`` stretches (or with less than 1 shortens) every latency."""
        self.profile = profile
        self.controls = Controls.at_start(profile)
        self.generations: OrderedDict[str, Generation] = OrderedDict()
        self.replies_lost: set[str] = set()
        self._seed = (seed, prompt_fingerprint(profile.provider))
        self._time_scale = time_scale
        self.clock: Clock = clock or SystemClock()
        self._born_s = self.clock.monotonic_s()
        self._knocks = 0
        self._accepted = 0
        self._waiting: OrderedDict[str, None] = OrderedDict()
        self._slots = asyncio.Semaphore(profile.concurrency)
        self.gallery = Gallery(profile, self.controls, seed=self._seed, clock=self.clock, renderer=renderer)
        self._tasks: set[asyncio.Task[None]] = set()

    async def prepare(self) -> None:
        """Make ready everything that takes time: cutouts, and the pool of an instant profile."""
        await self.gallery.prepare()

    async def close(self) -> None:
        """Abandon what is still running."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.gallery.close()

    def control(self, control: Control) -> Controls:
        """Apply a control call and return the positions of all controls."""
        self.controls.pull(control)
        return self.controls

    def is_out(self, *, submitting: bool) -> bool:
        """Return whether the provider is in an outage for this kind of call."""
        alive_s = self.clock.monotonic_s() - self._born_s
        if any(start <= alive_s < end for start, end in self.profile.outage_windows_s):
            return True
        return self.controls.outage and (submitting or self.controls.outage_scope == "all")

    def knock(self) -> Outcome:
        """Decide what becomes of the next generation request; forced faults come before drawn faults."""
        self._knocks += 1
        if self.is_out(submitting=True):
            return Outcome.outage
        for outcome, control_name in (
            (Outcome.hang, "hang_next"),
            (Outcome.too_many, "too_many_next"),
            (Outcome.error, "error_next"),
            (Outcome.filtered, "filtered_next"),
            (Outcome.reply_lost, "lost_reply_next"),
        ):
            if self.controls.take(control_name):
                return outcome
        draw = float(self._rng(_FATE, self._knocks).random())
        for outcome, rate in (
            (Outcome.hang, self.profile.hang_rate),
            (Outcome.too_many, self.profile.too_many_rate),
            (Outcome.error, self.profile.error_rate),
            (Outcome.filtered, self.profile.filtered_rate),
            (Outcome.reply_lost, self.profile.lost_reply_rate),
        ):
            if draw < rate:
                return outcome
            draw -= rate
        return Outcome.accepted

    def accept(self, wanted: Wanted, request_id: str) -> Generation:
        """Take a generation on; it starts by itself as soon as a slot is free."""
        self._accepted += 1
        seed = wanted.seed
        if seed is None:
            seed = int(self._rng(_SEED, self._knocks).integers(2**31))
        generation = Generation(
            request_id=request_id,
            number=self._accepted,
            wanted=wanted,
            seed=seed,
            price_usd_micro=self.controls.price_usd_micro,
            accepted_at=self.clock.now(),
            will_fail=self.controls.take("failed_next"),
            will_stick=self.controls.take("stuck_next"),
            will_be_empty=self.controls.take("empty_next"),
        )
        self.generations[request_id] = generation
        forget_oldest(self.generations, self.profile.truth_kept)
        self.spawn(self._run(generation))
        return generation

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something in the background until it ends or the world closes."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def queue_position(self, generation: Generation) -> int:
        """Count the accepted generations that wait before this one."""
        return next((n for n, name in enumerate(self._waiting) if name == generation.request_id), 0)

    def cancel(self, generation: Generation) -> bool:
        """Cancel; work that has started is billed. Return whether there was anything to cancel."""
        if generation.stage.is_final:
            return False
        generation.end(Stage.canceled, self.clock.now())
        return True

    def ledger(self) -> dict[str, object]:
        """Return what would be billed: one line per accepted generation, and the same work paid twice."""
        lines = [self._bill_line(generation) for generation in self.generations.values()]
        seen: dict[tuple[object, object], list[object]] = {}
        for line in lines:
            if line["billed_usd_micro"] and line["seed_given"]:
                seen.setdefault((line["seed"], line["prompt_sha256"]), []).append(line["request_id"])
        return {
            "provider": self.profile.provider,
            "lines": lines,
            "billed_usd_micro": sum(generation.billed_usd_micro for generation in self.generations.values()),
            "billed_twice": [ids for ids in seen.values() if len(ids) > 1],
        }

    async def _run(self, generation: Generation) -> None:
        self._waiting[generation.request_id] = None
        try:
            if generation.will_stick:
                await generation.ended.wait()
            await self._slots.acquire()
        finally:
            del self._waiting[generation.request_id]
        try:
            if not generation.stage.is_final:
                generation.start(self.clock.now())
                await self._work(generation)
        finally:
            self._slots.release()
            generation.end(Stage.failed, self.clock.now())

    async def _work(self, generation: Generation) -> None:
        generation.running_s = self._latency_s(generation)
        if generation.running_s and await generation.ends_within(generation.running_s):
            return
        if not generation.will_fail and not generation.will_be_empty:
            await self.gallery.fill(generation)
        generation.end(Stage.failed if generation.will_fail else Stage.succeeded, self.clock.now())

    def _latency_s(self, generation: Generation) -> float:
        if self.controls.latency_s is not None:
            return self.controls.latency_s
        if self.profile.latency_median_s == 0:
            return 0.0
        rng = self._rng(_LATENCY, generation.number)
        drawn = self.profile.latency_median_s * float(np.exp(rng.normal(0, self.profile.latency_sigma)))
        return drawn * self._time_scale

    def _bill_line(self, generation: Generation) -> dict[str, object]:
        return {
            "request_id": generation.request_id,
            "stage": generation.stage,
            "seed": generation.seed,
            "seed_given": generation.wanted.seed is not None,
            "prompt_sha256": _sha256(generation.wanted.prompt),
            "image_count": generation.wanted.image_count,
            "price_usd_micro": generation.price_usd_micro,
            "billed_usd_micro": generation.billed_usd_micro,
            "reply_lost": generation.request_id in self.replies_lost,
            "accepted_at": generation.accepted_at.isoformat(),
        }

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            _logger.error("simulator.work.failed", exc_info=problem)

    def _rng(self, stream: int, number: int) -> np.random.Generator:
        return np.random.default_rng((*self._seed, stream, number))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()

"""One attempt: from the submit to its stored candidates, within its deadlines, and its result as one message."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, TypeAlias

from services.router.app.candidate_store import CandidateStore, RunningAttempt, signal_of_none_whole
from services.router.app.offering_pool import OfferingPool
from services.router.app.ports import Media, Provider, RunAggregates
from services.router.app.retry import retry_until_available, sleep_or_set
from services.router.domain.calls import (
    Accepted,
    CallRefused,
    Finished,
    Generation,
    ImageRef,
    PollReply,
    Running,
    SubmitReply,
    Unknown,
)
from services.router.domain.health import HealthSignal
from services.router.domain.messages import AttemptAccepted, AttemptReturned, AttemptSlow
from winnow.contracts.errors import NotFound, Unavailable
from winnow.contracts.values import FailedCandidate, GeneratedCandidate, Mode, OutcomeClass
from winnow.runtime import failpoints
from winnow.runtime.clock import Clock

_SLOW_FACTOR: Final = {Mode.fast: 2.0, Mode.low_cost: 4.0}
POLL_INTERVAL_GROWTH: Final = 1.3
POLL_INTERVAL_MAX_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class AttemptEnd:
    """Result of an attempt, before its message is sent."""

    outcome: OutcomeClass
    signal: HealthSignal
    reason: str | None = None
    reference: str | None = None
    actual_cost_usd_micro: int | None = None
    retry_after_s: float | None = None
    images: tuple[ImageRef, ...] = ()


_Steps: TypeAlias = Coroutine[Any, Any, AttemptEnd]


class AttemptRunner:
    """Runs attempts. Each attempt ends in exactly one ``AttemptReturned``, also after a failure."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        media: Media,
        record: RunAggregates,
        pool: OfferingPool,
        clock: Clock,
    ) -> None:
        """Wire the runner; ``providers`` is keyed by provider name."""
        self._providers = providers
        self._media = media
        self._candidate_store = CandidateStore(providers, media, clock)
        self._aggregates = record
        self._pool = pool
        self._clock = clock

    async def submit(self, running: RunningAttempt) -> AttemptReturned:
        """Run a new attempt: submit once, poll to the end, store what came."""
        running.started_s = self._clock.monotonic_s()
        try:
            generation = await self._generation(running)
        except (NotFound, Unavailable, ValueError):
            return await self._returned(
                running,
                AttemptEnd(
                    OutcomeClass.never_delivered,
                    HealthSignal.neutral,
                    "request_not_readable",
                    actual_cost_usd_micro=0,
                ),
            )
        return await self._returned(running, await self._to_end(running, generation))

    async def resume(self, running: RunningAttempt) -> AttemptReturned:
        """Continue an attempt that this or another replica submitted: poll, never submit again."""
        running.started_s = self._clock.monotonic_s()
        running.reference, running.handle = running.attempt.reference, running.attempt.handle
        if running.reference is None:
            end = AttemptEnd(OutcomeClass.outcome_unknown, HealthSignal.neutral, "owner_lost")
        else:
            end = await self._within_total(running, self._poll(running))
        return await self._returned(running, end)

    async def _generation(self, running: RunningAttempt) -> Generation:
        order = running.order
        request = await retry_until_available(
            partial(self._media.read_request, order.request),
            unwanted=running.unwanted,
            deadline_at=order.deadline_at,
            clock=self._clock,
        )
        negative = request.get("negative_prompt")
        parameters = request.get("parameters")
        return Generation(
            attempt_id=running.attempt.attempt_id,
            prompt=str(request.get("prompt", "")),
            negative_prompt=str(negative) if negative else None,
            count=len(running.attempt.candidate_ids),
            width=order.width,
            height=order.height,
            seed=running.candidates[0].seed,
            parameters=_accepted(parameters, running.offering.accepts),
        )

    async def _to_end(self, running: RunningAttempt, generation: Generation) -> AttemptEnd:
        provider = self._providers[running.offering.provider]
        return await self._within_total(running, self._submit_and_poll(provider, running, generation))

    async def _within_total(self, running: RunningAttempt, steps: _Steps) -> AttemptEnd:
        try:
            async with asyncio.timeout(running.offering.limits.total_timeout_s):
                return await self._beside_slowness(running, steps)
        except TimeoutError:
            return await self._timed_out(running)

    async def _beside_slowness(self, running: RunningAttempt, steps: _Steps) -> AttemptEnd:
        """Run the steps, and report to the run once when they take longer than expected."""
        factor = _SLOW_FACTOR.get(running.run.order.mode) if running.run.order is not None else None
        if factor is None:
            return await steps
        health = self._pool.health(running.offering.name)
        slow_s = max(running.offering.limits.slow_least_s, factor * health.latency_ms / 1000)
        async with asyncio.TaskGroup() as tasks:
            notice = tasks.create_task(self._report_slow(running, slow_s))
            try:
                return await steps
            finally:
                notice.cancel()

    async def _report_slow(self, running: RunningAttempt, after_s: float) -> None:
        await asyncio.sleep(after_s)
        attempt_id = running.attempt.attempt_id
        await self._aggregates.submit(running.run, f"slow:{attempt_id}", AttemptSlow(attempt_id))

    async def _submit_and_poll(
        self, provider: Provider, running: RunningAttempt, generation: Generation
    ) -> AttemptEnd:
        failpoints.reach("before_provider_call")
        reply: SubmitReply = await provider.submit(running.offering, generation)
        failpoints.reach("after_provider_call")
        if not isinstance(reply, Accepted):
            return self._end_of(running, reply)
        running.reference, running.handle = reply.reference, reply.handle
        attempt_id = running.attempt.attempt_id
        message = AttemptAccepted(attempt_id, reply.reference, reply.handle)
        async with asyncio.TaskGroup() as tasks:
            # Polling need not wait for the commit of the reference.
            tasks.create_task(self._note_accepted(running, message))
            polled = tasks.create_task(self._poll(running))
        return polled.result()

    async def _note_accepted(self, running: RunningAttempt, message: AttemptAccepted) -> None:
        await self._aggregates.submit(running.run, f"accepted:{message.attempt_id}", message)

    async def _poll(self, running: RunningAttempt) -> AttemptEnd:
        provider = self._providers[running.offering.provider]
        interval_s = running.offering.limits.poll_interval_s
        has_cancelled = False
        while True:
            if running.unwanted.is_set() and not has_cancelled and running.offering.traits.cancel:
                has_cancelled = True
                cancelled = await provider.cancel(running.offering, running.handle)
                if cancelled.stopped:
                    return AttemptEnd(
                        OutcomeClass.rejected_without_work,
                        HealthSignal.neutral,
                        cancelled.reason,
                        running.reference,
                        actual_cost_usd_micro=0,
                    )
            reply: PollReply = await provider.poll(running.offering, running.handle)
            if not isinstance(reply, Running):
                return self._end_of(running, reply)
            wait_s = reply.retry_after_s if reply.retry_after_s is not None else interval_s
            interval_s = min(POLL_INTERVAL_MAX_S, interval_s * POLL_INTERVAL_GROWTH)
            if running.unwanted.is_set():
                await asyncio.sleep(wait_s)
            else:
                await sleep_or_set(running.unwanted, wait_s)

    def _end_of(self, running: RunningAttempt, reply: Finished | CallRefused | Unknown) -> AttemptEnd:
        match reply:
            case Finished():
                cost = reply.cost_usd_micro
                made = min(len(reply.images), len(running.attempt.candidate_ids))
                return AttemptEnd(
                    OutcomeClass.succeeded,
                    HealthSignal.success if reply.images else HealthSignal.fault,
                    None if reply.images else "no_images",
                    reply.reference or running.reference,
                    running.price_usd_micro * made if cost is None else cost,
                    images=reply.images,
                )
            case CallRefused():
                return AttemptEnd(
                    reply.outcome,
                    _signal_of(reply),
                    reply.reason,
                    running.reference,
                    None if reply.billed else 0,
                    reply.retry_after_s,
                )
            case Unknown():
                return AttemptEnd(
                    OutcomeClass.outcome_unknown, HealthSignal.fault, reply.reason, running.reference
                )

    async def _timed_out(self, running: RunningAttempt) -> AttemptEnd:
        if running.reference is None:
            return AttemptEnd(OutcomeClass.outcome_unknown, HealthSignal.fault, "timed_out")
        if running.offering.traits.cancel:
            provider = self._providers[running.offering.provider]
            cancelled = await provider.cancel(running.offering, running.handle)
            if cancelled.stopped:
                return AttemptEnd(
                    OutcomeClass.rejected_without_work,
                    HealthSignal.fault,
                    "timed_out_in_queue",
                    running.reference,
                    actual_cost_usd_micro=0,
                )
        return AttemptEnd(OutcomeClass.collectable, HealthSignal.fault, "timed_out", running.reference)

    async def _returned(self, running: RunningAttempt, end: AttemptEnd) -> AttemptReturned:
        latency_ms = round((self._clock.monotonic_s() - running.started_s) * 1000)
        generated: Sequence[GeneratedCandidate] = ()
        failed: Sequence[FailedCandidate] = ()
        if end.outcome is OutcomeClass.succeeded and not running.unwanted.is_set():
            failpoints.reach("before_candidates_kept")
            generated, failed = await self._candidate_store.store_candidates(running, end.images)
            failpoints.reach("after_candidates_kept")
            if (failed or generated) and not running.whole_count:
                signal = signal_of_none_whole(failed, generated_count=len(generated))
                end = replace(end, signal=signal)
        self._learn(running, end, latency_ms, has_images=bool(generated))
        return AttemptReturned(
            attempt_id=running.attempt.attempt_id,
            outcome=end.outcome,
            reason=end.reason,
            reference=end.reference,
            actual_cost_usd_micro=end.actual_cost_usd_micro,
            latency_ms=latency_ms,
            generated=tuple(generated),
            failed=tuple(failed),
            market=self._pool.market(),
        )

    def _learn(self, running: RunningAttempt, end: AttemptEnd, latency_ms: int, *, has_images: bool) -> None:
        was_billed = end.actual_cost_usd_micro is None or end.actual_cost_usd_micro > 0
        self._pool.ended(
            running.offering.name,
            end.signal,
            latency_ms=latency_ms,
            retry_after_s=end.retry_after_s,
            was_wasted=was_billed and not running.whole_count and not running.unwanted.is_set(),
        )
        if not has_images and running.run.order is not None:
            template = running.run.order.template
            self._pool.release_canary(running.offering.name, template.name, template.version)


def _signal_of(refused: CallRefused) -> HealthSignal:
    if refused.reason == "rate_limited":
        return HealthSignal.throttled
    if refused.permanent:
        return HealthSignal.neutral
    return HealthSignal.fault


def _accepted(parameters: object, names: Sequence[str]) -> dict[str, str | int | float | bool]:
    if not isinstance(parameters, Mapping):
        return {}
    return {
        str(name): value
        for name, value in parameters.items()
        if name in names and isinstance(value, str | int | float | bool)
    }

"""One attempt: from the submit to its stored candidates, within its deadlines, told as one message."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final, TypeAlias

from services.router.app.keeping import ImageKeeper, Work, sign_of_none_kept
from services.router.app.patience import sleep_or_set, until_there
from services.router.app.ports import (
    Clock,
    Media,
    Provider,
    Record,
)
from services.router.app.supply import Supply
from services.router.domain.calls import (
    Accepted,
    Finished,
    Generation,
    ImageRef,
    PollReply,
    Refused,
    Running,
    SubmitReply,
    Unknown,
)
from services.router.domain.health import Sign
from services.router.domain.run import (
    AttemptAccepted,
    AttemptReturned,
    AttemptSlow,
)
from winnow.contracts.errors import NotFound, Unavailable
from winnow.contracts.values import FailedCandidate, GeneratedCandidate, Mode, OutcomeClass
from winnow.runtime import crash_points

_SLOW_FACTOR: Final = {Mode.fast: 2.0, Mode.low_cost: 4.0}
POLL_INTERVAL_GROWTH: Final = 1.3
POLL_INTERVAL_MAX_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Ending:
    """Result of an attempt, before its message is sent."""

    outcome: OutcomeClass
    sign: Sign
    reason: str | None = None
    reference: str | None = None
    actual_cost_usd_micro: int | None = None
    retry_after_s: float | None = None
    images: tuple[ImageRef, ...] = ()


_Steps: TypeAlias = Coroutine[Any, Any, Ending]


class AttemptRunner:
    """Runs attempts. Whatever happens, each one ends in exactly one ``AttemptReturned``."""

    def __init__(
        self,
        providers: Mapping[str, Provider],
        media: Media,
        record: Record,
        supply: Supply,
        clock: Clock,
    ) -> None:
        """Wire the runner; ``providers`` is keyed by provider name."""
        self._providers = providers
        self._media = media
        self._keeper = ImageKeeper(providers, media, clock)
        self._record = record
        self._supply = supply
        self._clock = clock

    async def submit(self, work: Work) -> AttemptReturned:
        """Run a new attempt: submit once, poll to the end, store what came."""
        work.started_s = self._clock.monotonic_s()
        try:
            generation = await self._generation(work)
        except (NotFound, Unavailable, ValueError):
            return await self._returned(
                work,
                Ending(
                    OutcomeClass.never_delivered,
                    Sign.neutral,
                    "request_not_readable",
                    actual_cost_usd_micro=0,
                ),
            )
        return await self._returned(work, await self._to_end(work, generation))

    async def resume(self, work: Work) -> AttemptReturned:
        """Go on with an attempt that this or another replica submitted: poll, never submit again."""
        work.started_s = self._clock.monotonic_s()
        work.reference, work.handle = work.attempt.reference, work.attempt.handle
        if work.reference is None:
            ending = Ending(OutcomeClass.outcome_unknown, Sign.neutral, "owner_lost")
        else:
            ending = await self._within_total(work, self._poll(work))
        return await self._returned(work, ending)

    async def _generation(self, work: Work) -> Generation:
        order = work.order
        request = await until_there(
            partial(self._media.read_request, order.request),
            unwanted=work.unwanted,
            deadline_at=order.deadline_at,
            clock=self._clock,
        )
        negative = request.get("negative_prompt")
        parameters = request.get("parameters")
        return Generation(
            attempt_id=work.attempt.attempt_id,
            prompt=str(request.get("prompt", "")),
            negative_prompt=str(negative) if negative else None,
            count=len(work.attempt.candidate_ids),
            width=order.width,
            height=order.height,
            seed=work.candidates[0].seed,
            parameters=_accepted(parameters, work.offering.accepts),
        )

    async def _to_end(self, work: Work, generation: Generation) -> Ending:
        provider = self._providers[work.offering.provider]
        return await self._within_total(work, self._submit_and_poll(provider, work, generation))

    async def _within_total(self, work: Work, steps: _Steps) -> Ending:
        try:
            async with asyncio.timeout(work.offering.limits.total_timeout_s):
                return await self._beside_slowness(work, steps)
        except TimeoutError:
            return await self._timed_out(work)

    async def _beside_slowness(self, work: Work, steps: _Steps) -> Ending:
        """Run the steps, and tell the run once when they take longer than expected."""
        factor = _SLOW_FACTOR.get(work.run.order.mode) if work.run.order is not None else None
        if factor is None:
            return await steps
        health = self._supply.health(work.offering.name)
        slow_s = max(work.offering.limits.slow_least_s, factor * health.latency_ms / 1000)
        async with asyncio.TaskGroup() as tasks:
            notice = tasks.create_task(self._tell_slow(work, slow_s))
            try:
                return await steps
            finally:
                notice.cancel()

    async def _tell_slow(self, work: Work, after_s: float) -> None:
        await asyncio.sleep(after_s)
        attempt_id = work.attempt.attempt_id
        await self._record.tell(work.run, f"slow:{attempt_id}", AttemptSlow(attempt_id))

    async def _submit_and_poll(self, provider: Provider, work: Work, generation: Generation) -> Ending:
        crash_points.reach("before_provider_call")
        reply: SubmitReply = await provider.submit(work.offering, generation)
        crash_points.reach("after_provider_call")
        if not isinstance(reply, Accepted):
            return self._ending(work, reply)
        work.reference, work.handle = reply.reference, reply.handle
        attempt_id = work.attempt.attempt_id
        message = AttemptAccepted(attempt_id, reply.reference, reply.handle)
        async with asyncio.TaskGroup() as tasks:
            # Polling need not wait for the commit of the reference.
            tasks.create_task(self._note_accepted(work, message))
            polled = tasks.create_task(self._poll(work))
        return polled.result()

    async def _note_accepted(self, work: Work, message: AttemptAccepted) -> None:
        await self._record.tell(work.run, f"accepted:{message.attempt_id}", message)

    async def _poll(self, work: Work) -> Ending:
        provider = self._providers[work.offering.provider]
        interval_s = work.offering.limits.poll_interval_s
        has_cancelled = False
        while True:
            if work.unwanted.is_set() and not has_cancelled and work.offering.traits.cancel:
                has_cancelled = True
                cancelled = await provider.cancel(work.offering, work.handle)
                if cancelled.stopped:
                    return Ending(
                        OutcomeClass.rejected_without_work,
                        Sign.neutral,
                        cancelled.reason,
                        work.reference,
                        actual_cost_usd_micro=0,
                    )
            reply: PollReply = await provider.poll(work.offering, work.handle)
            if not isinstance(reply, Running):
                return self._ending(work, reply)
            wait_s = reply.retry_after_s if reply.retry_after_s is not None else interval_s
            interval_s = min(POLL_INTERVAL_MAX_S, interval_s * POLL_INTERVAL_GROWTH)
            if work.unwanted.is_set():
                await asyncio.sleep(wait_s)
            else:
                await sleep_or_set(work.unwanted, wait_s)

    def _ending(self, work: Work, reply: Finished | Refused | Unknown) -> Ending:
        match reply:
            case Finished():
                cost = reply.cost_usd_micro
                made = min(len(reply.images), len(work.attempt.candidate_ids))
                return Ending(
                    OutcomeClass.succeeded,
                    Sign.success if reply.images else Sign.fault,
                    None if reply.images else "no_images",
                    reply.reference or work.reference,
                    work.price_usd_micro * made if cost is None else cost,
                    images=reply.images,
                )
            case Refused():
                return Ending(
                    reply.outcome,
                    _sign_of(reply),
                    reply.reason,
                    work.reference,
                    None if reply.billed else 0,
                    reply.retry_after_s,
                )
            case Unknown():
                return Ending(OutcomeClass.outcome_unknown, Sign.fault, reply.reason, work.reference)

    async def _timed_out(self, work: Work) -> Ending:
        if work.reference is None:
            return Ending(OutcomeClass.outcome_unknown, Sign.fault, "timed_out")
        if work.offering.traits.cancel:
            provider = self._providers[work.offering.provider]
            cancelled = await provider.cancel(work.offering, work.handle)
            if cancelled.stopped:
                return Ending(
                    OutcomeClass.rejected_without_work,
                    Sign.fault,
                    "timed_out_in_queue",
                    work.reference,
                    actual_cost_usd_micro=0,
                )
        return Ending(OutcomeClass.collectable, Sign.fault, "timed_out", work.reference)

    async def _returned(self, work: Work, ending: Ending) -> AttemptReturned:
        latency_ms = round((self._clock.monotonic_s() - work.started_s) * 1000)
        generated: Sequence[GeneratedCandidate] = ()
        failed: Sequence[FailedCandidate] = ()
        if ending.outcome is OutcomeClass.succeeded and not work.unwanted.is_set():
            crash_points.reach("before_candidates_kept")
            generated, failed = await self._keeper.keep_all(work, ending.images)
            crash_points.reach("after_candidates_kept")
            if failed and not generated:
                ending = replace(ending, sign=sign_of_none_kept(failed))
        self._learn(work, ending, latency_ms, has_images=bool(generated))
        return AttemptReturned(
            attempt_id=work.attempt.attempt_id,
            outcome=ending.outcome,
            reason=ending.reason,
            reference=ending.reference,
            actual_cost_usd_micro=ending.actual_cost_usd_micro,
            latency_ms=latency_ms,
            generated=tuple(generated),
            failed=tuple(failed),
            market=self._supply.market(),
        )

    def _learn(self, work: Work, ending: Ending, latency_ms: int, *, has_images: bool) -> None:
        was_billed = ending.actual_cost_usd_micro is None or ending.actual_cost_usd_micro > 0
        self._supply.ended(
            work.offering.name,
            ending.sign,
            latency_ms=latency_ms,
            retry_after_s=ending.retry_after_s,
            was_wasted=was_billed and not has_images and not work.unwanted.is_set(),
        )
        if not has_images and work.run.order is not None:
            template = work.run.order.template
            self._supply.release_canary(work.offering.name, template.name, template.version)


def _sign_of(refused: Refused) -> Sign:
    if refused.reason == "rate_limited":
        return Sign.throttled
    if refused.permanent:
        return Sign.neutral
    return Sign.fault


def _accepted(parameters: object, names: Sequence[str]) -> dict[str, str | int | float | bool]:
    if not isinstance(parameters, Mapping):
        return {}
    return {
        str(name): value
        for name, value in parameters.items()
        if name in names and isinstance(value, str | int | float | bool)
    }

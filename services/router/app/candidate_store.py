"""Images of an attempt: each image is collected, checked and stored, or fails its candidate."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from services.router.app.ports import Media, Provider
from services.router.app.retry import retry_until_available
from services.router.domain.calls import CollectFailed, ImageRef, NotAnImage, StoredImage
from services.router.domain.catalogue import Offering
from services.router.domain.health import HealthSignal
from services.router.domain.run import Attempt, Candidate, Run
from winnow.contracts.errors import Unavailable
from winnow.contracts.events import TaskAccepted
from winnow.contracts.values import FailedCandidate, GeneratedCandidate
from winnow.runtime.backoff import Backoff
from winnow.runtime.clock import Clock

_FILTERED: Final = "filtered"
_NOT_STORED: Final = "not_stored"
_NOT_COLLECTED: Final = "not_collected"
COLLECT_TRIES: Final = 3
COLLECT_TIMEOUT_S: Final = 60.0
STORE_TIMEOUT_S: Final = 60.0
_COLLECT_BACKOFF_FIRST_S: Final = 0.8
_COLLECT_BACKOFF_MAX_S: Final = 1.6


@dataclass(slots=True)
class RunningAttempt:
    """A running attempt. ``unwanted`` is set when its task has ended; ``whole_count`` counts stored images not cut short."""

    run: Run
    attempt: Attempt
    offering: Offering
    unwanted: asyncio.Event = field(default_factory=asyncio.Event)
    started_s: float = 0.0
    reference: str | None = None
    handle: Mapping[str, str] = field(default_factory=dict)
    whole_count: int = 0

    @property
    def candidates(self) -> list[Candidate]:
        """Return the candidates of the attempt, in the order of the call."""
        return [self.run.candidates[candidate_id] for candidate_id in self.attempt.candidate_ids]

    @property
    def order(self) -> TaskAccepted:
        """Return the order that the attempt is for; raises ValueError for a run without one."""
        if self.run.order is None:
            raise ValueError("an attempt belongs to an order")
        return self.run.order

    @property
    def price_usd_micro(self) -> int:
        """Return the price of one image."""
        return self.attempt.expected_cost_usd_micro // max(1, len(self.attempt.candidate_ids))


class CandidateStore:
    """Brings images into the private bucket; reading a link again is free, so it is tried again.

    What was made is paid for: a store that takes nothing is waited for until the order ends. Between two tries only
    an image that came inside the reply is held; a linked one is read again.
    """

    def __init__(self, providers: Mapping[str, Provider], media: Media, clock: Clock) -> None:
        """Collect through the providers, store through the media."""
        self._providers = providers
        self._media = media
        self._clock = clock

    async def store_candidates(
        self, running: RunningAttempt, images: Sequence[ImageRef]
    ) -> tuple[Sequence[GeneratedCandidate], Sequence[FailedCandidate]]:
        """Pair images with candidates in the order of the call; a missing image fails its candidate."""
        wanted = running.candidates
        paired = list(zip(wanted, images, strict=False))
        results = await asyncio.gather(
            *(self._result(running, candidate, image) for candidate, image in paired)
        )
        generated = [candidate for candidate in results if isinstance(candidate, GeneratedCandidate)]
        failed = [candidate for candidate in results if isinstance(candidate, FailedCandidate)]
        failed += [
            FailedCandidate(candidate_id=candidate.candidate_id, reason="image_missing")
            for candidate in wanted[len(paired) :]
        ]
        return generated, failed

    async def _result(
        self, running: RunningAttempt, candidate: Candidate, image: ImageRef
    ) -> GeneratedCandidate | FailedCandidate:
        async def stored_now() -> StoredImage:
            return await self._store(
                running.order, candidate.candidate_id, await self._collect(running, image)
            )

        deadline_at = running.order.deadline_at
        try:
            image_kept = await retry_until_available(
                stored_now, unwanted=running.unwanted, deadline_at=deadline_at, clock=self._clock
            )
        except CollectFailed as error:
            return FailedCandidate(candidate_id=candidate.candidate_id, reason=error.reason)
        except NotAnImage:
            return FailedCandidate(candidate_id=candidate.candidate_id, reason="not_decodable")
        except Unavailable:
            return FailedCandidate(candidate_id=candidate.candidate_id, reason=_NOT_STORED)
        seed = candidate.seed if image.seed is None else image.seed
        running.whole_count += image_kept.is_whole
        return GeneratedCandidate(
            candidate_id=candidate.candidate_id, stored=image_kept.stored, seed=max(0, seed)
        )

    async def _store(self, order: TaskAccepted, candidate_id: str, content: bytes) -> StoredImage:
        try:
            async with asyncio.timeout(STORE_TIMEOUT_S):
                return await self._media.store_candidate(
                    account_id=order.account_id,
                    task_id=order.task_id,
                    candidate_id=candidate_id,
                    content=content,
                )
        except TimeoutError as error:
            raise Unavailable("the object store does not answer") from error

    async def _collect(self, running: RunningAttempt, image: ImageRef) -> bytes:
        try:
            async with asyncio.timeout(COLLECT_TIMEOUT_S):
                return await self._collect_again(running, image)
        except TimeoutError as error:
            raise CollectFailed(_NOT_COLLECTED, may_retry=False) from error

    async def _collect_again(self, running: RunningAttempt, image: ImageRef) -> bytes:
        if image.filtered:
            raise CollectFailed(_FILTERED, may_retry=False)
        provider = self._providers[running.offering.provider]
        backoff = Backoff(running.attempt.attempt_id, _COLLECT_BACKOFF_FIRST_S, _COLLECT_BACKOFF_MAX_S)
        for _ in range(COLLECT_TRIES - 1):
            try:
                return await provider.collect(running.offering, image)
            except CollectFailed as error:
                if not error.may_retry:
                    raise
            await asyncio.sleep(backoff.next_s())
        return await provider.collect(running.offering, image)


def signal_of_none_whole(failed: Sequence[FailedCandidate], *, generated_count: int) -> HealthSignal:
    """Return the health signal of an attempt that brought no whole image; all it generated are cut short.

    Images that cannot be fetched and files that are no whole image are its fault, as paid errors are. So the breaker
    keeps the next rounds from buying more of them. A filtered prompt is not, nor is a bucket that takes nothing.
    """
    reasons = {candidate.reason for candidate in failed}
    if _NOT_STORED in reasons:
        return HealthSignal.neutral
    if generated_count:
        return HealthSignal.fault
    return HealthSignal.success if reasons == {_FILTERED} else HealthSignal.fault

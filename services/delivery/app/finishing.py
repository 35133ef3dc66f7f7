"""Finishing: from selected candidates to outputs in the bucket, each checked, cleaned and named by content."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from services.delivery.app import metrics
from services.delivery.app.ports import DeliveryAggregates, Files, Images, Index
from services.delivery.domain.decide import output_id_of
from services.delivery.domain.images import ContentDiffers, FinishedImage, Picture
from services.delivery.domain.messages import Finished, FinishFailure
from services.delivery.domain.outputs import object_key, unguessable
from services.delivery.domain.task import TaskDelivery
from winnow.contracts.errors import ErrorCode, NotFound, Refused, Unavailable
from winnow.contracts.values import Output, SelectedCandidate, StoredObject
from winnow.eventstore import Input
from winnow.runtime import failpoints
from winnow.runtime.backoff import Backoff
from winnow.runtime.clock import Clock
from winnow.runtime.log import get_logger

_log = get_logger(__name__)
_BACKOFF_FIRST_S: Final = 0.2
_BACKOFF_MAX_S: Final = 5.0
_SHARE_OF_TIME: Final = 0.9
"""The part of a task's remaining time that its candidates may take; the rest is for the commit of the result."""


@dataclass(frozen=True, slots=True)
class FinishingLimits:
    """``within_s`` bounds the work on a candidate, ``candidate_max_bytes`` its size, ``at_once_max`` all tasks."""

    within_s: float
    candidate_max_bytes: int
    at_once_max: int


class _Keys:
    """Keys of the objects of a task, which are known before the objects are stored."""

    def __init__(self, selected: Sequence[SelectedCandidate]) -> None:
        """Collect the keys of these candidates."""
        self._of: dict[str, tuple[str, ...]] = {candidate.candidate_id: () for candidate in selected}
        self.complete = asyncio.Event()
        self.stored_again = False
        """True after an object was stored again, because the store was away when its key became known."""

    def add(self, candidate_id: str, *keys: str) -> None:
        """Add the keys of a candidate."""
        self.stored_again |= bool(self._of[candidate_id])
        self._of[candidate_id] = keys
        if all(self._of.values()):
            self.complete.set()

    def known(self) -> list[str]:
        """Return the keys that are known, in the order of the candidates."""
        return list(chain.from_iterable(self._of.values()))


class Finishing:
    """Finishes tasks; the same candidates give the same objects, so that it may be done again, or for nothing."""

    def __init__(
        self,
        states: DeliveryAggregates,
        files: Files,
        images: Images,
        index: Index,
        clock: Clock,
        *,
        limits: FinishingLimits,
        outputs_bucket: str,
        name_key: bytes,
    ) -> None:
        """Store in ``outputs_bucket`` under names derived with ``name_key``."""
        self._states = states
        self._files = files
        self._images = images
        self._index = index
        self._clock = clock
        self._limits = limits
        self._bucket = outputs_bucket
        self._name_key = name_key
        self._turns = asyncio.Semaphore(limits.at_once_max)

    async def finish(self, state: TaskDelivery) -> None:
        """Finish a task and submit the result: what is not finished when its time is over is missing from it.

        Raises NotOwner, or what the index or the journal raise.
        """
        if state.selection is None:
            return
        started_s = self._clock.monotonic_s()
        left_s = (state.selection.finish_by - self._clock.now()).total_seconds() * _SHARE_OF_TIME
        # One moment for all: a turn that is freed at the task's limit is nobody's.
        over_at = asyncio.get_running_loop().time() + left_s
        selected = state.selection.selected
        results = await self._stored_and_noted(state, selected, over_at)
        outputs = tuple(result for result in results if isinstance(result, Output))
        failed = tuple(result for result in results if isinstance(result, FinishFailure))
        for failure in failed:
            metrics.FINISH_FAILURES.labels(failure.reason).inc()
        failpoints.reach("after_outputs_stored")
        await self._states.submit(
            Input(
                state.task_id,
                f"finished:{state.task_id}",
                Finished(outputs, failed),
                state.correlation_id,
                traceparent=state.traceparent,
            )
        )
        metrics.FINISH_SECONDS.observe(self._clock.monotonic_s() - started_s)
        _log.info(
            "delivery.task.finished",
            task_id=state.task_id,
            outputs_count=len(outputs),
            failed_count=len(failed),
        )

    async def _stored_and_noted(
        self, state: TaskDelivery, selected: Sequence[SelectedCandidate], over_at: float
    ) -> list[Output | FinishFailure]:
        """Store the objects of the candidates, and beside that note their keys for the sweep."""
        keys = _Keys(selected)
        noting = asyncio.get_running_loop().create_task(self._note(state, keys))
        try:
            results = await asyncio.gather(
                *(self._within_time(candidate, over_at, keys) for candidate in selected)
            )
            keys.complete.set()
            await noting
            if keys.stored_again:
                # The sweep deletes by the time of the note, which must not lie far before the object's.
                await self._note(state, keys)
        finally:
            noting.cancel()
        return results

    async def _note(self, state: TaskDelivery, keys: _Keys) -> None:
        await keys.complete.wait()
        if known := keys.known():
            await self._index.note_outputs(state.task_id, state.account_id, known, self._clock.now())

    async def _within_time(
        self, candidate: SelectedCandidate, over_at: float, keys: _Keys
    ) -> Output | FinishFailure:
        """Wait for a turn, then finish a candidate: the task's time bounds both, the candidate's own the work."""
        try:
            async with asyncio.timeout_at(over_at), self._turns, asyncio.timeout(self._limits.within_s):
                return await self._one(candidate, keys)
        except TimeoutError:
            return FinishFailure(candidate_id=candidate.candidate_id, reason="finishing_timed_out")

    async def _one(self, candidate: SelectedCandidate, keys: _Keys) -> Output | FinishFailure:
        """Finish one candidate, waiting for a store that does not answer."""
        backoff = Backoff(candidate.candidate_id, _BACKOFF_FIRST_S, _BACKOFF_MAX_S)
        while True:
            try:
                return await self._finish_one(candidate, keys)
            except Unavailable:
                await asyncio.sleep(backoff.next_s())
            except NotFound:
                return FinishFailure(candidate_id=candidate.candidate_id, reason="object_missing")
            except Refused as refused:
                return FinishFailure(candidate_id=candidate.candidate_id, reason=refused.code.value)

    async def _finish_one(self, candidate: SelectedCandidate, keys: _Keys) -> Output | FinishFailure:
        stored = candidate.stored
        if stored.size_bytes > self._limits.candidate_max_bytes:
            return FinishFailure(candidate_id=candidate.candidate_id, reason=ErrorCode.image_too_large.value)
        try:
            content = await self._files.get(stored.bucket, stored.key, stored.size_bytes)
        except ValueError:
            return FinishFailure(candidate_id=candidate.candidate_id, reason="content_differs")
        try:
            image = await self._images.finish(content, stored)
        except ContentDiffers:
            return FinishFailure(candidate_id=candidate.candidate_id, reason="content_differs")
        return await self._store(candidate, image, keys)

    async def _store(self, candidate: SelectedCandidate, image: FinishedImage, keys: _Keys) -> Output:
        segment = unguessable(self._name_key, candidate.candidate_id)
        output = self._named("outputs", segment, image.output)
        thumbnail = self._named("thumbs", segment, image.thumbnail)
        keys.add(candidate.candidate_id, output.key, thumbnail.key)
        failpoints.reach("before_outputs_stored")
        await asyncio.gather(
            self._put(output, image.output.content), self._put(thumbnail, image.thumbnail.content)
        )
        return Output(
            output_id=output_id_of(candidate.candidate_id),
            candidate_id=candidate.candidate_id,
            rank=candidate.rank,
            score=candidate.score,
            stored=output,
            thumbnail=thumbnail,
        )

    def _named(self, folder: str, segment: str, picture: Picture) -> StoredObject:
        return StoredObject(
            bucket=self._bucket,
            key=object_key(folder, segment, sha256=picture.sha256, content_type=picture.content_type),
            sha256=picture.sha256,
            size_bytes=len(picture.content),
            content_type=picture.content_type,
            width=picture.width,
            height=picture.height,
        )

    async def _put(self, stored: StoredObject, content: bytes) -> None:
        await self._files.put(stored.bucket, stored.key, content, stored.content_type)
        metrics.OUTPUT_BYTES.inc(stored.size_bytes)

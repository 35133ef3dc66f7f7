"""Score a chunk, score one object, screen an input."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from services.scorer.app.ports import Measurer, ObjectReader, Profiles, Rules
from services.scorer.app.reference_inputs import (
    ReferenceReader,
    ReferenceResult,
    RequestedWords,
    requested_words,
)
from services.scorer.domain import (
    CandidateScore,
    DimensionVerdict,
    Measured,
    Profile,
    could_not_measure,
    judge,
    values_of,
)
from services.scorer.domain.advice import Advice, advise
from services.scorer.domain.measures import (
    BLOCKINESS,
    DECODABLE,
    EXPOSURE,
    FACE_COUNT,
    NOISE,
    RESOLUTION,
    SHARPNESS,
)
from services.scorer.domain.references import NO_REFERENCES, References, explain_missing
from winnow.contracts.commands import ScoreCandidates
from winnow.contracts.errors import ErrorCode, NotFound, Refused
from winnow.contracts.events import CandidatesScored
from winnow.contracts.values import Dimension, GeneratedCandidate, ScoredCandidate, StoredObject

SCORER_VERSION: Final = "1.4.0"
"""Changes when the same bytes may get another verdict: measures, mappings or the order of guards."""

PICTURE_BYTES_MAX: Final = 32 * 1024 * 1024
INPUT_SIDE_MIN_PX: Final = 64
_SCREENED: Final = frozenset({DECODABLE, RESOLUTION, SHARPNESS, BLOCKINESS, NOISE, EXPOSURE, FACE_COUNT})
_TOO_LARGE: Final = frozenset({"too_many_bytes", "too_many_pixels"})


@dataclass(frozen=True, slots=True)
class ScreenResult:
    """Result of a screening; ``code`` and ``detail`` when not, hints as stable words when it is."""

    accepted: bool
    code: ErrorCode | None
    detail: str
    width: int
    height: int
    content_type: str
    hints: tuple[Advice, ...]

    @property
    def advice(self) -> tuple[str, ...]:
        """Return the codes of the hints."""
        return tuple(hint.code for hint in self.hints)


class Scorer:
    """Scores pictures: a pure function of bytes, what they are compared with, profile version and model set."""

    def __init__(
        self,
        *,
        objects: ObjectReader,
        measurer: Measurer,
        profiles: Profiles,
        rules: Rules,
        models: Mapping[str, str],
        reads_max: int = 8,
    ) -> None:
        """Take the ports; ``reads_max`` bounds the pictures, and the references, held in memory at once."""
        self._objects = objects
        self._measurer = measurer
        self._profiles = profiles
        self._rules = rules
        self._models = dict(models)
        self._references = ReferenceReader(objects, measurer)
        self._reads = asyncio.Semaphore(reads_max)
        self._chunks = asyncio.Semaphore(reads_max)

    async def score_chunk(self, command: ScoreCandidates) -> CandidatesScored:
        """Score a chunk; the same command gives the same event.

        A candidate fails when its bytes are absent or differ from those announced; it never fails its
        neighbours. What is compared with a reference or a prompt that was given and cannot be read is
        ``failure_to_assess``. Raises Refused for an unknown profile version, Unavailable when the object
        store does not answer.
        """
        profile = self._profiles.get(command.profile.name, command.profile.version)
        # A chunk holds its reference until its last candidate is scored, so chunks are bounded like pictures.
        async with self._chunks:
            found = await self._references.find(command.request, command.inputs, profile.wanted())
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._candidate(candidate, profile, found))
                    for candidate in command.candidates
                ]
        return CandidatesScored(
            task_id=command.task_id,
            account_id=command.account_id,
            chunk_id=command.chunk_id,
            round_index=command.round_index,
            profile=command.profile,
            profile_sha256=profile.sha256,
            scorer_version=SCORER_VERSION,
            models=self._models,
            candidates=[task.result() for task in tasks],
        )

    async def score(
        self, content: bytes, profile: Profile, references: References = NO_REFERENCES
    ) -> CandidateScore:
        """Score an encoded picture against a profile."""
        return self._judge(profile, await self._measurer.measure(content, profile.wanted(), references))

    async def score_object(
        self,
        bucket: str,
        key: str,
        profile: str,
        version: int | None,
        *,
        reference_key: str = "",
        request_key: str = "",
    ) -> CandidateScore:
        """Score a stored object, compared with a stored reference and a stored request's prompt where named.

        Raises Refused (unknown profile, too large, a request without a prompt), NotFound, Unavailable.
        """
        wanted = self._profiles.get(profile, version)
        async with self._reads:
            reference = await self._objects.get(bucket, reference_key) if reference_key else None
            words = _asked(await self._objects.get(bucket, request_key)) if request_key else RequestedWords()
            content = await self._objects.get(bucket, key)
            return await self.score(content, wanted, References(reference, words.prompt, words.wording))

    async def screen_object(self, bucket: str, key: str, profile: str | None) -> ScreenResult:
        """Screen a stored input; raises Refused for an unknown profile, NotFound, Unavailable."""
        async with self._reads:
            try:
                content = await self._objects.get(bucket, key)
            except Refused as refusal:
                return _refused(refusal.code, refusal.detail)
            return await self.screen(content, profile)

    async def screen(self, content: bytes, profile: str | None = None) -> ScreenResult:
        """Decide whether an input picture can be used, and advise on what a profile will look at."""
        profile_names = self._profiles.get(profile).wanted() if profile else frozenset()
        measured = await self._measurer.measure(content, _SCREENED)
        refusal = _refusal(measured)
        found = measured.by_name()
        if refusal is not None:
            return _refused(*refusal)
        return ScreenResult(
            accepted=True,
            code=None,
            detail="",
            width=measured.width,
            height=measured.height,
            content_type=str(found[DECODABLE].evidence.get("content_type", "")),
            hints=advise(measured, wants_face=FACE_COUNT in profile_names),
        )

    def profiles(self) -> list[Profile]:
        """Return every profile version."""
        return self._profiles.all()

    async def _candidate(
        self, candidate: GeneratedCandidate, profile: Profile, found: ReferenceResult
    ) -> ScoredCandidate:
        async with self._reads:
            measured = await self._measure_stored(candidate.stored, profile.wanted(), found.references)
        score = self._judge(profile, explain_missing(measured, found.missing))
        return ScoredCandidate(
            candidate_id=candidate.candidate_id,
            passed=score.passed,
            score=score.score,
            dimensions=[to_contract(verdict) for verdict in score.dimensions],
            reasons=list(score.reasons),
            perceptual_hash=score.perceptual_hash,
        )

    async def _measure_stored(
        self, stored: StoredObject, wanted: frozenset[str], references: References
    ) -> Measured:
        try:
            content = await self._objects.get(stored.bucket, stored.key)
        except NotFound:
            return could_not_measure(wanted, "object_missing")
        except Refused:
            return could_not_measure(wanted, "object_too_large")
        if hashlib.sha256(content).hexdigest() != stored.sha256:
            return could_not_measure(wanted, "object_differs")
        return await self._measurer.measure(content, wanted, references)

    def _judge(self, profile: Profile, measured: Measured) -> CandidateScore:
        values = values_of(profile, measured)
        outcomes = {rule.name: self._rules.evaluate(rule.expression, values) for rule in profile.rules}
        return judge(profile, measured, outcomes)


def to_contract(verdict: DimensionVerdict) -> Dimension:
    """Return a dimension's verdict in the form that travels."""
    return Dimension(
        name=verdict.name,
        tier=verdict.tier,
        status=verdict.status,
        raw=verdict.raw,
        score=verdict.score,
        threshold=verdict.threshold,
        required=verdict.required,
        passed=verdict.passed,
        evidence=dict(verdict.evidence),
    )


def _asked(body: bytes) -> RequestedWords:
    try:
        return requested_words(body)
    except ValueError:
        raise Refused(ErrorCode.invalid_request, "the request names no prompt") from None


def _refused(code: ErrorCode, detail: str) -> ScreenResult:
    return ScreenResult(
        accepted=False, code=code, detail=detail, width=0, height=0, content_type="", hints=()
    )


def _refusal(measured: Measured) -> tuple[ErrorCode, str] | None:
    decodable = measured.by_name().get(DECODABLE)
    if decodable is None or decodable.raw != 1.0:
        reason = str(decodable.evidence.get("reason", "")) if decodable is not None else ""
        if reason in _TOO_LARGE:
            return ErrorCode.image_too_large, "the image has more bytes or pixels than allowed"
        return ErrorCode.image_not_decodable, "the file is not a complete JPEG, PNG or WebP image"
    if min(measured.width, measured.height) < INPUT_SIDE_MIN_PX:
        return ErrorCode.image_too_small, f"each side of the image has at least {INPUT_SIDE_MIN_PX} pixels"
    return None

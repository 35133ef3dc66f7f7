"""A scorer on objects in memory, measured in the calling process."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from services.scorer.app import Scorer
from services.scorer.clients.rules import CelRules
from services.scorer.domain import Measured
from services.scorer.domain.references import NO_REFERENCES, References
from services.scorer.engine.measure import measure_bytes
from services.scorer.inference.models import model_versions
from tests.support.profiles import built_in_profiles
from tests.unit.scorer.loaded import loaded_models
from winnow.contracts.commands import ScoreCandidates
from winnow.contracts.errors import ErrorCode, NotFound, Refused, Unavailable
from winnow.contracts.ids import Prefix, derive_id
from winnow.contracts.values import GeneratedCandidate, ProfileRef, StoredObject

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
RULES = CelRules()
PROFILES = built_in_profiles()


class MemoryObjects:
    """Objects by key; ``is_down`` makes every read Unavailable."""

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}
        self.too_large: set[str] = set()
        self.is_down = False
        self.reads: list[str] = []

    async def get(self, bucket: str, key: str) -> bytes:
        self.reads.append(key)
        if self.is_down:
            raise Unavailable("the object store does not answer")
        if key in self.too_large:
            raise Refused(ErrorCode.image_too_large, "the image has more bytes than allowed")
        if key not in self.bodies:
            raise NotFound("the object does not exist")
        return self.bodies[key]


class InProcess:
    """Measures without a pool; ``given`` holds what each picture was compared with."""

    def __init__(self) -> None:
        self.references: list[References] = []

    async def measure(
        self, content: bytes, wanted: frozenset[str], references: References = NO_REFERENCES
    ) -> Measured:
        self.references.append(references)
        return measure_bytes(
            content,
            wanted,
            loaded_models(),
            references.reference,
            references.prompt,
            wording=references.wording,
        )


def scorer_on(objects: MemoryObjects, measurer: InProcess | None = None) -> Scorer:
    return Scorer(
        objects=objects,
        measurer=measurer or InProcess(),
        profiles=PROFILES,
        rules=RULES,
        models=model_versions(),
    )


def stored(objects: MemoryObjects, key: str, content: bytes) -> StoredObject:
    objects.bodies[key] = content
    return StoredObject(
        bucket="winnow-private",
        key=key,
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        content_type="image/png",
    )


def command(*pictures: StoredObject, profile: str = "headshot", version: int = 1) -> ScoreCandidates:
    return ScoreCandidates(
        command_id=derive_id(
            Prefix.command, "score", profile, version, *(picture.key for picture in pictures)
        ),
        chunk_id=derive_id(Prefix.chunk, 1),
        task_id=derive_id(Prefix.task, 1),
        account_id="acct_demo",
        round_index=0,
        profile=ProfileRef(name=profile, version=version),
        candidates=[
            GeneratedCandidate(candidate_id=derive_id(Prefix.candidate, index), stored=picture, seed=index)
            for index, picture in enumerate(pictures)
        ],
    )

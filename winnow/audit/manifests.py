"""The manifests of an archive: a chain of lists that say which segments there are, and what each holds."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Final, Literal

from pydantic import Field, TypeAdapter, ValidationError

from winnow.audit.blob_store import BlobStore
from winnow.audit.chains import Head
from winnow.contracts.envelope import Instant, Value
from winnow.eventstore.model import GENESIS

PREFIX: Final = "manifests/"
_Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_Number = Annotated[int, Field(ge=0)]


class Segment(Value):
    """Consecutive items of one lane in one file.

    ``first`` and ``last`` are block numbers or offsets; ``chain_first`` is where the lane's chain begins and ``head``
    its hash after this segment.
    """

    lane: str
    name: str
    first: _Number
    last: _Number
    items_count: Annotated[int, Field(ge=1)]
    size_bytes: Annotated[int, Field(ge=1)]
    sha256: _Hash
    chain_first: _Number
    head: _Hash


class Manifest(Value):
    """Addition of one commit to the archive."""

    format: Literal[1] = 1
    number: Annotated[int, Field(ge=1)]
    previous_sha256: _Hash
    made_at: Instant
    segments: Annotated[list[Segment], Field(min_length=1)]

    @property
    def name(self) -> str:
        """Name the manifest's file."""
        return f"{PREFIX}{self.number:08d}.json"


_MANIFEST: TypeAdapter[Manifest] = TypeAdapter(Manifest)


class BrokenArchive(ValueError):  # noqa: N818 (what it is)
    """The manifests do not form a chain; the text says where."""


@dataclass(slots=True)
class Catalogue:
    """The manifests of an archive, oldest first, and the hash of the newest."""

    manifests: list[Manifest]
    head_sha256: str = GENESIS

    def segments(self) -> dict[str, list[Segment]]:
        """Return the segments by lane, in order."""
        found: dict[str, list[Segment]] = {}
        for manifest in self.manifests:
            for segment in manifest.segments:
                found.setdefault(segment.lane, []).append(segment)
        return found

    def heads(self) -> dict[str, Head]:
        """Return how far each lane is archived."""
        return {
            lane: Head(segments[-1].chain_first, segments[-1].last, segments[-1].head)
            for lane, segments in self.segments().items()
        }


def write_manifest(manifest: Manifest) -> bytes:
    """Return a manifest as text."""
    return _MANIFEST.dump_json(manifest, indent=1) + b"\n"


def sha256_of(body: bytes) -> str:
    """Hash a file."""
    return hashlib.sha256(body).hexdigest()


async def read_catalogue(store: BlobStore) -> Catalogue:
    """Read and check the chain of manifests; raises BrokenArchive."""
    catalogue = Catalogue([])
    for number, name in enumerate(await store.names(PREFIX), start=1):
        body = await store.get(name)
        try:
            manifest = _MANIFEST.validate_json(body)
        except ValidationError:
            msg = f"{name} is no manifest"
            raise BrokenArchive(msg) from None
        if manifest.name != name or manifest.number != number:
            msg = f"manifest {number} is missing: {name} comes instead"
            raise BrokenArchive(msg)
        if manifest.previous_sha256 != catalogue.head_sha256:
            msg = f"{name} does not follow manifest {number - 1}: one of them was changed"
            raise BrokenArchive(msg)
        catalogue.manifests.append(manifest)
        catalogue.head_sha256 = sha256_of(body)
    return catalogue


def order_faults(segments: Sequence[Segment]) -> Iterator[str]:
    """Compare the segments of one lane with each other: none overlaps the one before."""
    for before, after in pairwise(segments):
        if after.first <= before.last:
            yield f"{after.name} begins at {after.first}, though {before.name} goes to {before.last}"

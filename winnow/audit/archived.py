"""Reads an archive as a source to make stores from: lane by lane, each segment checked, nothing passed over."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from winnow.audit.blob_store import BlobStore, Location
from winnow.audit.chains import Chain
from winnow.audit.lanes import KINDS
from winnow.audit.manifests import BrokenArchive, Catalogue, Segment, order_faults, read_catalogue, sha256_of
from winnow.audit.replay import BrokenChain
from winnow.audit.segments import BrokenSegment, unpack
from winnow.contracts.errors import NotFound


class ArchivedRecord:
    """The lanes of an archive. Methods that read raise BrokenChain and Unavailable."""

    def __init__(self, store: BlobStore, catalogue: Catalogue) -> None:
        """Read what the catalogue says."""
        self._store = store
        self._segments: dict[str, list[Segment]] = catalogue.segments()

    @classmethod
    @asynccontextmanager
    async def at(cls, location: Location) -> AsyncIterator[ArchivedRecord]:
        """Open an archive; raises BrokenArchive, and BadAddress for an address that names none."""
        async with location.open() as store:
            catalogue = await read_catalogue(store)
            if not catalogue.manifests:
                msg = f"there is no archive at {location.address}"
                raise BrokenArchive(msg)
            yield cls(store, catalogue)

    def shards(self, producer: str) -> list[str]:
        """Name the archived shards of a journal."""
        start = f"{KINDS[0]}/{producer}/"
        return sorted(lane.removeprefix(start) for lane in self._segments if lane.startswith(start))

    async def items(self, chain: Chain) -> AsyncIterator[dict[str, Any]]:
        """Yield the items of the chain's lane in order, none for a lane that is not there.

        Whoever reads takes each item into ``chain``, which is compared with what each manifest says of it.
        """
        lane = chain.lane
        segments = self._segments.get(lane, [])
        for text in order_faults(segments):
            raise BrokenChain(f"{lane}: {text}")
        for segment in segments:
            count = 0
            try:
                for document in unpack(await self._body(segment)):
                    count += 1
                    yield document
            except BrokenSegment as error:
                raise BrokenChain(f"{lane}: {segment.name} cannot be read: {error}") from error
            if count != segment.items_count or (chain.last, chain.hash) != (segment.last, segment.head):
                raise BrokenChain(f"{lane}: {segment.name} does not hold what its manifest says")

    async def _body(self, segment: Segment) -> bytes:
        try:
            body = await self._store.get(segment.name)
        except NotFound:
            raise BrokenChain(f"{segment.lane}: {segment.name} is in the manifest and not there") from None
        if sha256_of(body) != segment.sha256:
            raise BrokenChain(f"{segment.lane}: {segment.name} was changed")
        return body

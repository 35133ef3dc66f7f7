"""An archive as a source of the record: each segment compared with its manifest."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager

from winnow.audit.blob_store import BlobStore, Location
from winnow.audit.chains import Chain
from winnow.audit.lanes import is_journal, part_of
from winnow.audit.manifests import BrokenArchive, Segment, order_faults, read_catalogue, sha256_of
from winnow.audit.replay import BrokenChain
from winnow.audit.segments import BrokenSegment, unpack
from winnow.audit.sources import Item, LaneSource
from winnow.contracts.errors import NotFound

Faults = Callable[[str, str], None]
"""Takes each fault of an archive: its lane and the sentence. Reading goes on when it returns."""


def refuse(lane: str, text: str) -> None:
    """Raise BrokenChain for a fault: nothing is passed over."""
    raise BrokenChain(f"{lane}: {text}")


class ArchiveSource(LaneSource):
    """The lanes of an archive. Reading raises what ``fault`` raises, and Unavailable."""

    def __init__(self, store: BlobStore, segments: Mapping[str, Sequence[Segment]], fault: Faults) -> None:
        """Read these segments, by lane."""
        self._store = store
        self._segments = segments
        self._fault = fault

    @classmethod
    @asynccontextmanager
    async def at(cls, location: Location) -> AsyncIterator[ArchiveSource]:
        """Open an archive to make stores from; raises BrokenArchive, and BadAddress for an address that names none."""
        async with location.open() as store:
            catalogue = await read_catalogue(store)
            if not catalogue.manifests:
                msg = f"there is no archive at {location.address}"
                raise BrokenArchive(msg)
            yield cls(store, catalogue.segments(), refuse)

    async def lanes(self) -> AsyncIterator[str]:
        """Yield the lanes."""
        for lane in self._segments:
            yield lane

    def lanes_of(self, producer: str) -> list[str]:
        """Name the archived lanes of a journal."""
        return [lane for lane in self._segments if is_journal(lane) and part_of(lane) == producer]

    async def lane_items(self, chain: Chain) -> AsyncIterator[Item]:
        """Yield every item of a lane, and compare the chain with what each manifest says of it."""
        lane = chain.lane
        segments = self._segments.get(lane, ())
        for text in order_faults(segments):
            self._fault(lane, text)
        for segment in segments:
            body = await self._body(segment)
            count = 0
            try:
                for item in unpack(body) if body is not None else ():
                    count += 1
                    yield item
            except BrokenSegment as error:
                self._fault(lane, f"{segment.name} cannot be read: {error}")
            if body is not None and count != segment.items_count:
                text = f"{segment.name} holds {count} items, its manifest says {segment.items_count}"
                self._fault(lane, text)
            if (chain.last, chain.hash) != (segment.last, segment.head) and not chain.findings:
                self._fault(lane, f"after {segment.name} the chain is not where its manifest says")

    async def _body(self, segment: Segment) -> bytes | None:
        try:
            body = await self._store.get(segment.name)
        except NotFound:
            self._fault(segment.lane, f"{segment.name} is in the manifest and not there")
            return None
        if sha256_of(body) != segment.sha256:
            text = f"{segment.name} was changed: it does not have the hash that its manifest says"
            self._fault(segment.lane, text)
        return body

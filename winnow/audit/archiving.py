"""Writes an archive: only what is new, only what is sound, and a manifest as the commit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from winnow.audit.blob_store import BlobStore
from winnow.audit.chains import Chain, chain_of
from winnow.audit.manifests import Catalogue, Manifest, Segment, read_catalogue, sha256_of, write_manifest
from winnow.audit.segments import SEGMENT_RAW_BYTES, line_of, pack
from winnow.contracts.errors import NotFound
from winnow.runtime.clock import Clock

SEGMENTS_PER_MANIFEST: Final = 64
"""Segments that an interrupted run repeats at most."""


class NotArchived(ValueError):  # noqa: N818 (what became of it)
    """An item has a fault and was not archived; the text names it."""


@dataclass(slots=True)
class _Open:
    """A lane that is being written."""

    chain: Chain
    lines: list[bytes] = field(default_factory=list)
    raw_bytes: int = 0
    first: int = 0


class ArchiveWriter:
    """Adds items to an archive. Segments lie unused until ``commit`` names them in a manifest."""

    def __init__(
        self,
        store: BlobStore,
        clock: Clock,
        catalogue: Catalogue,
        *,
        segment_raw_bytes: int = SEGMENT_RAW_BYTES,
    ) -> None:
        """Continue after what the catalogue says."""
        self._store = store
        self._clock = clock
        self._catalogue = catalogue
        self._segment_raw_bytes = segment_raw_bytes
        self._heads = catalogue.heads()
        self._open: dict[str, _Open] = {}
        self._waiting: list[Segment] = []
        self.items_count = 0
        self.segments_count = 0

    @classmethod
    async def on(
        cls, store: BlobStore, clock: Clock, *, segment_raw_bytes: int = SEGMENT_RAW_BYTES
    ) -> ArchiveWriter:
        """Open an archive, which may be empty; raises BrokenArchive."""
        return cls(store, clock, await read_catalogue(store), segment_raw_bytes=segment_raw_bytes)

    @property
    def manifests_count(self) -> int:
        """Count the manifests of the archive."""
        return len(self._catalogue.manifests)

    def chain(self, lane: str) -> Chain:
        """Return the chain of a lane as far as it is archived or added; ``add`` continues it."""
        return self._opened(lane).chain

    async def add(self, lane: str, document: Mapping[str, Any]) -> None:
        """Add the next item of a lane; raises NotArchived for one that does not continue its chain."""
        opened = self._opened(lane)
        sound = opened.chain.take(document)
        if not sound or opened.chain.findings:
            msg = f"{lane}: {opened.chain.findings[0].text}"
            raise NotArchived(msg)
        line = line_of(document)
        opened.first = opened.first if opened.lines else opened.chain.last
        opened.lines.append(line)
        opened.raw_bytes += len(line)
        self.items_count += 1
        if opened.raw_bytes >= self._segment_raw_bytes:
            await self._close_segment(lane, opened)
            if len(self._waiting) >= SEGMENTS_PER_MANIFEST:
                await self.commit()

    async def finish(self) -> None:
        """Write what is open, and commit."""
        for lane, opened in self._open.items():
            if opened.lines:
                await self._close_segment(lane, opened)
        await self.commit()

    async def commit(self) -> None:
        """Name the segments written since in a manifest; without any there is none."""
        if not self._waiting:
            return
        manifest = Manifest(
            number=len(self._catalogue.manifests) + 1,
            previous_sha256=self._catalogue.head_sha256,
            made_at=self._clock.now(),
            segments=self._waiting,
        )
        await self._check_absent(manifest.name)
        body = write_manifest(manifest)
        await self._store.put(manifest.name, body)
        self._catalogue.manifests.append(manifest)
        self._catalogue.head_sha256 = sha256_of(body)
        self._waiting = []

    def _opened(self, lane: str) -> _Open:
        if lane not in self._open:
            self._open[lane] = _Open(chain_of(lane))
            if (head := self._heads.get(lane)) is not None:
                self._open[lane].chain.start_at(head)
        return self._open[lane]

    async def _close_segment(self, lane: str, opened: _Open) -> None:
        body = pack(opened.lines)
        digest = sha256_of(body)
        name = f"segments/{lane}/{opened.first:012d}-{digest[:16]}.ndjson.zst"
        await self._store.put(name, body)
        head = opened.chain.head
        self._waiting.append(
            Segment(
                lane=lane,
                name=name,
                first=opened.first,
                last=head.last,
                items_count=len(opened.lines),
                size_bytes=len(body),
                sha256=digest,
                chain_first=head.first,
                head=head.hash,
            )
        )
        self.segments_count += 1
        opened.lines, opened.raw_bytes = [], 0

    async def _check_absent(self, name: str) -> None:
        try:
            await self._store.get(name)
        except NotFound:
            return
        msg = f"{name} is there already: another run writes this archive"
        raise NotArchived(msg)

"""Archives in a folder, read whole and written again with every hash in order, as someone who holds them could."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from winnow.audit.blob_store import LocalBlobs
from winnow.audit.chains import BlockChain, RecordChain, digest_of
from winnow.audit.lanes import is_journal
from winnow.audit.manifests import Manifest, Segment, read_catalogue, sha256_of, write_manifest
from winnow.audit.segments import line_of, pack, unpack
from winnow.eventstore.model import GENESIS

Lanes = dict[str, list[dict[str, Any]]]


def read_lanes(folder: Path) -> Lanes:
    """Return the items of every lane."""
    store = LocalBlobs(folder)

    async def read() -> Lanes:
        segments = (await read_catalogue(store)).segments()
        return {
            lane: [document for segment in kept for document in unpack(await store.get(segment.name))]
            for lane, kept in segments.items()
        }

    return asyncio.run(read())


def write_lanes(folder: Path, lanes: Lanes) -> None:
    """Write an archive of one manifest whose hashes all fit, whatever the items say."""
    shutil.rmtree(folder, ignore_errors=True)
    store = LocalBlobs(folder)
    segments = []
    for lane, documents in lanes.items():
        chain = BlockChain(lane) if is_journal(lane) else RecordChain(lane)
        for document in documents:
            chain.take(document)
        body = pack([line_of(document) for document in documents])
        name = f"segments/{lane}/0.ndjson.zst"
        asyncio.run(store.put(name, body))
        segments.append(
            Segment(
                lane=lane,
                name=name,
                first=chain.head.first,
                last=chain.head.last,
                items_count=len(documents),
                size_bytes=len(body),
                sha256=sha256_of(body),
                chain_first=chain.head.first,
                head=chain.head.hash,
            )
        )
    manifest = Manifest(
        number=1, previous_sha256=GENESIS, made_at=datetime(2026, 1, 1, tzinfo=UTC), segments=segments
    )
    asyncio.run(store.put(manifest.name, write_manifest(manifest)))


def rehashed(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return blocks with new hashes, each over its contents and its predecessor's."""
    previous = GENESIS
    fresh = []
    for old in blocks:
        block = {**old, "prev_hash": previous}
        previous = block["hash"] = digest_of(block)
        fresh.append(block)
    return fresh


def edit_body(holder: dict[str, Any], edit: Callable[[dict[str, Any]], None]) -> None:
    """Change the event in a record of a topic or an entry of a block."""
    body = json.loads(holder["body"])
    edit(body)
    holder["body"] = json.dumps(body, separators=(",", ":"), ensure_ascii=False)


def holders(lanes: Lanes, kind: str) -> Iterator[dict[str, Any]]:
    """Yield whatever holds an event of this type, in topics and journals."""
    for lane, items in lanes.items():
        for item in items:
            if not is_journal(lane):
                if ["type", kind] in item["headers"]:
                    yield item
                continue
            for decision in item["decisions"]:
                yield from (entry for entry in decision["entries"] if entry["type"] == kind)


def edit_event(lanes: Lanes, event: dict[str, Any], edit: Callable[[dict[str, Any]], None]) -> None:
    """Change an event wherever it stands, and hash the journals again."""
    for holder in holders(lanes, event["type"]):
        if json.loads(holder["body"])["event_id"] == event["event_id"]:
            edit_body(holder, edit)
    for lane in lanes:
        if is_journal(lane):
            lanes[lane] = rehashed(lanes[lane])


def merge(parts: list[Path], folder: Path) -> None:
    """Join archives of different lanes into one with a single manifest."""
    segments: list[Segment] = []
    for part in parts:
        for kept in asyncio.run(read_catalogue(LocalBlobs(part))).segments().values():
            for source in kept:
                (folder / source.name).parent.mkdir(parents=True, exist_ok=True)
                (part / source.name).rename(folder / source.name)
                segments.append(source)
    manifest = Manifest(
        number=1, previous_sha256=GENESIS, made_at=datetime(2026, 1, 1, tzinfo=UTC), segments=segments
    )
    asyncio.run(LocalBlobs(folder).put(manifest.name, write_manifest(manifest)))

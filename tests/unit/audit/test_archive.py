"""An archive takes only what is new and sound, survives an interruption, and shows every change of its files."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.builders.forged_archive import write_lanes
from tests.support.clock import SetClock
from tests.unit.audit.chain_builders import AT, blocks, records, rewritten
from winnow.audit.archive_verify import verify_archive
from winnow.audit.archiving import ArchiveWriter, NotArchived
from winnow.audit.blob_store import LocalBlobs, Location
from winnow.audit.manifests import BrokenArchive, read_catalogue
from winnow.audit.verify import Result
from winnow.contracts.topics import ACCOUNTS

SHARD, PARTITION = "journal/router/0", "topic/winnow.accounts.v1/0"
SMALL = 1_000
NOW = datetime(2026, 2, 1, tzinfo=UTC)


async def archived(folder: Path, count: int, documents: list[dict[str, Any]] | None = None) -> ArchiveWriter:
    """Archive so many blocks and records, from where the archive ends."""
    writer = await ArchiveWriter.on(LocalBlobs(folder), SetClock(AT), segment_raw_bytes=SMALL)
    for lane, items, number in (
        (SHARD, documents or blocks(count), "block_no"),
        (PARTITION, records(count), "offset"),
    ):
        archived_to = writer.chain(lane).last
        for document in items:
            if document[number] > archived_to:
                await writer.add(lane, document)
    await writer.finish()
    return writer


async def verified(folder: Path) -> Result:
    return await verify_archive(Location(str(folder)), {}, NOW, profiles={}, processes=1)


def said(result: Result) -> list[str]:
    return [finding.text for finding in result.findings]


async def test_a_second_run_adds_only_what_is_new(tmp_path: Path) -> None:
    first = await archived(tmp_path, 10)
    assert (first.items_count, first.manifests_count) == (20, 1)
    again = await archived(tmp_path, 10)
    assert (again.items_count, again.manifests_count) == (0, 1)
    more = await archived(tmp_path, 14)
    assert (more.items_count, more.manifests_count) == (8, 2)
    result = await verified(tmp_path)
    assert (result.exit_code, result.findings) == (0, ())
    assert {lane.lane: (lane.items_count, lane.head.last) for lane in result.lanes} == {
        SHARD: (14, 14),
        PARTITION: (14, 13),
    }
    assert result.lanes[0].head.hash == blocks(14)[-1]["hash"]


async def test_an_interrupted_run_is_done_again_to_the_same_archive(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    await archived(whole, 10)
    writer = await ArchiveWriter.on(LocalBlobs(broken), SetClock(AT), segment_raw_bytes=SMALL)
    for block in blocks(7):
        await writer.add(SHARD, block)
    # It ends here: segments lie there that no manifest names.
    assert await LocalBlobs(broken).names("segments/")
    assert (await read_catalogue(LocalBlobs(broken))).manifests == []
    await archived(broken, 10)
    names = await LocalBlobs(whole).names("")
    assert await LocalBlobs(broken).names("") == names
    for name in names:
        assert await LocalBlobs(broken).get(name) == await LocalBlobs(whole).get(name)


async def test_what_does_not_continue_the_archived_chain_is_not_archived(tmp_path: Path) -> None:
    await archived(tmp_path, 6)
    with pytest.raises(NotArchived, match="block 7 does not follow block 6"):
        await archived(tmp_path, 10, rewritten(blocks(10), 4))
    assert said(await verified(tmp_path)) == []


async def test_a_flipped_byte_in_any_file_is_named(tmp_path: Path) -> None:
    await archived(tmp_path, 14)
    await archived(tmp_path, 20)
    folder = LocalBlobs(tmp_path)
    for name in await folder.names(""):
        body = await folder.get(name)
        place = len(body) // 2
        await folder.put(name, body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :])
        result = await verified(tmp_path)
        assert result.exit_code == 1, name
        if name.startswith("segments/"):
            assert any(name in finding and "was changed" in finding for finding in said(result)), said(result)
        await folder.put(name, body)
    assert (await verified(tmp_path)).exit_code == 0


async def test_a_lost_file_is_named(tmp_path: Path) -> None:
    await archived(tmp_path, 14)
    await archived(tmp_path, 20)
    names = await LocalBlobs(tmp_path).names("")
    segment = next(task for task in names if task.startswith(f"segments/{SHARD}"))
    (tmp_path / segment).unlink()
    assert f"{segment} is in the manifest and not there" in said(await verified(tmp_path))
    (tmp_path / names[0]).unlink()
    with pytest.raises(BrokenArchive, match="manifest 1 is missing"):
        await read_catalogue(LocalBlobs(tmp_path))
    assert (await verified(tmp_path)).exit_code == 1


async def test_an_empty_place_is_not_called_sound(tmp_path: Path) -> None:
    assert (await verified(tmp_path)).exit_code == 2


@pytest.mark.parametrize("body", ["no JSON", "[" * 100_000, "[1]", "7"])
def test_an_unpublished_event_that_cannot_be_read_is_named(tmp_path: Path, body: str) -> None:
    documents = blocks(2, with_entries=True)
    for document in documents:
        for entry in document["decisions"][0]["entries"]:
            entry |= {"topic": ACCOUNTS.name, "body": body}
    documents[0]["decisions"].append(7)
    write_lanes(tmp_path, {SHARD: documents, PARTITION: records(1)})
    findings = asyncio.run(verified(tmp_path)).findings
    found = [finding for finding in findings if finding.check == "published"]
    assert {finding.subject for finding in found} == {"key"}
    assert {finding.text.partition(" in ")[0] for finding in found} == {
        "type None of block 1",
        "type None of block 2",
    }

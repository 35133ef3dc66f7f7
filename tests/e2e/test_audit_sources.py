"""Every tampering with topics, journals and archives is named."""

from __future__ import annotations

import asyncio
import copy
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pymongo
import pytest
from pymongo.collection import Collection

from tests.support.builders.forged_archive import Lanes, edit_body, read_lanes, rehashed, write_lanes
from tests.support.servers.line import RunningLine
from winnow.audit.anchors import read_anchor
from winnow.audit.archive_verify import verify_archive
from winnow.audit.blob_store import Location
from winnow.audit.chains import digest_of
from winnow.audit.profiles import SHIPPED, read_profiles
from winnow.audit.sources import JournalSource
from winnow.audit.verify import RecordJudge, Result, Verifier

Blocks = Collection[dict[str, Any]]
PROFILES = read_profiles([SHIPPED])


@pytest.fixture(scope="module")
def database(small_line: RunningLine) -> Iterator[pymongo.MongoClient[dict[str, Any]]]:
    client: pymongo.MongoClient[dict[str, Any]] = pymongo.MongoClient(
        small_line.addresses.mongo_uri, tz_aware=True
    )
    with client:
        yield client


# The first test of the small line starts it, and it takes longest on a machine that may be busy.
@pytest.mark.timeout(300)
async def test_a_source_that_does_not_answer_is_not_called_sound(small_line: RunningLine) -> None:
    code, said = await small_line.winnow("audit", "verify", "--from", "topics", "--bootstrap", "127.0.0.1:1")
    assert code == 2, said


def first_blocks(client: pymongo.MongoClient[dict[str, Any]]) -> tuple[Blocks, str, list[dict[str, Any]]]:
    """Return the ledger's fullest shard, whose chain the test may write again and must give back."""
    journal = client["winnow_ledger"]["journal"]
    shards = {name: journal.count_documents({"shard": name}) for name in journal.distinct("shard")}
    shard = max(shards, key=lambda name: shards[name])
    kept = list(journal.find({"shard": shard}, sort=[("block_no", 1)]))
    assert len(kept) > 4, "a grant and two tasks make five blocks"
    return journal, shard, kept


def flip_a_byte(journal: Blocks, kept: list[dict[str, Any]]) -> str:
    body = kept[1]["decisions"][0]["entries"][0]["body"]
    place = body.index('"occurred_at"') + len('"occurred_at":"20')
    changed = body[:place] + chr(ord(body[place]) ^ 1) + body[place + 1 :]
    journal.update_one({"_id": kept[1]["_id"]}, {"$set": {"decisions.0.entries.0.body": changed}})
    return "the contents of block 2 do not give its hash: it was changed"


def drop_a_block(journal: Blocks, kept: list[dict[str, Any]]) -> str:
    journal.delete_one({"_id": kept[1]["_id"]})
    return "block 2 is missing before block 3"


def swap_two_blocks(journal: Blocks, kept: list[dict[str, Any]]) -> str:
    journal.delete_many({"_id": {"$in": [kept[1]["_id"], kept[2]["_id"]]}})
    numbers = ("_id", "block_no")
    for block, other in ((kept[1], kept[2]), (kept[2], kept[1])):
        journal.insert_one({**block, **{name: other[name] for name in numbers}})
    return "the contents of block 2 do not give its hash: it was changed"


def drop_an_event(journal: Blocks, kept: list[dict[str, Any]]) -> str:
    """Take an event out and hash everything after it again, so that only the sequence shows it."""
    victim = next(
        number
        for number, block in enumerate(kept)
        if any(entry["topic"] for entry in block["decisions"][0]["entries"][:-1])
    )
    entries = kept[victim]["decisions"][0]["entries"]
    gone = next(entry for entry in entries if entry["topic"])
    changed = [{**document} for document in kept]
    changed[victim]["decisions"] = [
        {**kept[victim]["decisions"][0], "entries": [entry for entry in entries if entry is not gone]},
        *kept[victim]["decisions"][1:],
    ]
    _write_again(journal, changed, victim)
    return "1 events of ledger are missing"


def rewrite_the_end(journal: Blocks, kept: list[dict[str, Any]]) -> str:
    changed = [{**document} for document in kept]
    changed[1]["offsets"] = []
    _write_again(journal, changed, 1)
    return f"block {len(kept)} is not the one that was anchored"


def _write_again(journal: Blocks, changed: list[dict[str, Any]], start: int) -> None:
    for index in range(start, len(changed)):
        if index:
            changed[index]["prev_hash"] = changed[index - 1]["hash"]
        changed[index]["hash"] = digest_of(changed[index])
        journal.replace_one({"_id": changed[index]["_id"]}, changed[index])


async def verified(line: RunningLine, anchor: bytes | None = None) -> Result:
    """Verify the journals in this process, which is quicker than a command for every tampering."""
    heads = read_anchor(anchor).by_lane() if anchor else {}
    verifier = Verifier("journals", RecordJudge(PROFILES), heads, kinds=["journal"])
    async with JournalSource.at(line.addresses.mongo_uri) as journals:
        await verifier.read(journals)
    return verifier.close(datetime.now(UTC))


@pytest.mark.timeout(90)
async def test_tampering_with_a_journal_is_named(
    small_line: RunningLine, database: pymongo.MongoClient[dict[str, Any]], tmp_path: Path
) -> None:
    anchor = tmp_path / "anchor.json"
    code, said = await small_line.winnow("audit", "anchor", str(anchor))
    assert code == 0, said
    anchored = anchor.read_bytes()
    journal, shard, kept = first_blocks(database)
    tampers: list[Callable[[Blocks, list[dict[str, Any]]], str]]
    tampers = [flip_a_byte, drop_a_block, swap_two_blocks, drop_an_event]
    for tamper in [*tampers, rewrite_the_end]:
        expected = tamper(journal, kept)
        try:
            alone, against = await verified(small_line), await verified(small_line, anchored)
        finally:
            journal.delete_many({"shard": shard})
            journal.insert_many(kept)
        found = {finding.text: finding.subject for finding in against.findings}
        what = next((finding for finding in found if finding.startswith(expected)), "")
        assert what, (tamper.__name__, found)
        if tamper is drop_an_event:
            assert found[what] in str(kept)
        else:
            assert found[what] == f"journal/ledger/{shard}"
        assert against.exit_code == 1
        assert alone.exit_code == (0 if tamper is rewrite_the_end else 1), alone.findings
    code, said = await small_line.winnow("audit", "verify", "--from", "journals", "--anchor", str(anchor))
    assert code == 0, said


def lose_a_block(lanes: Lanes) -> str:
    del lanes[fullest(lanes)][2]
    return "block 3 is missing before block 4"


def swap_blocks(lanes: Lanes) -> str:
    blocks = lanes[fullest(lanes)]
    blocks[2], blocks[3] = blocks[3], blocks[2]
    return "block 3 stands where block 5 should"


def lose_an_event_of_a_block(lanes: Lanes) -> str:
    """Take the second of three or more events of one account: the last would leave no gap, only the anchor tells."""
    lane = fullest(lanes)
    events: dict[str, list[tuple[list[dict[str, Any]], dict[str, Any]]]] = {}
    for block in lanes[lane]:
        for decision in block["decisions"]:
            for entry in decision["entries"]:
                if entry["topic"] and not entry["is_command"]:
                    account = events.setdefault(decision["aggregate_id"], [])
                    account.append((decision["entries"], entry))
    entries, gone = next(event for event in events.values() if len(event) > 2)[1]
    entries.remove(gone)
    lanes[lane] = rehashed(lanes[lane])
    return "number 3 of the ledger's events follows number 1: 1 events of ledger are missing"


def lose_a_record(lanes: Lanes) -> str:
    lane = next(name for name in lanes if name.startswith("topic/winnow.accounts") and len(lanes[name]) > 2)
    gone = lanes[lane].pop(1)
    return f"entry.recorded {json.loads(gone['body'])['event_id']} of block"


def change_a_verdict(lanes: Lanes) -> str:
    records = [
        document
        for lane in lanes.values()
        for document in lane
        if ["type", "candidates.scored"] in document.get("headers", ())
    ]
    candidate = json.loads(records[0]["body"])["candidates"][0]

    def turn(body: dict[str, Any]) -> None:
        body["candidates"][0]["passed"] = not candidate["passed"]

    edit_body(records[0], turn)
    words = ("not passed", "passed") if candidate["passed"] else ("passed", "not passed")
    return (
        f"{candidate['candidate_id']} is recorded as {words[0]}, but its required dimensions give {words[1]}"
    )


def change_a_balance(lanes: Lanes) -> str:
    lane = fullest(lanes)
    entry = next(
        entry
        for block in lanes[lane]
        for decision in block["decisions"]
        for entry in decision["entries"]
        if entry["type"] == "entry.recorded"
    )

    def add(body: dict[str, Any]) -> None:
        body["available_credits_micro"] += 1

    edit_body(entry, add)
    lanes[lane] = rehashed(lanes[lane])
    return f"{json.loads(entry['body'])['entry_id']} says available"


def rewrite_the_past(lanes: Lanes) -> str:
    lane = fullest(lanes)
    lanes[lane][1]["offsets"] = []
    lanes[lane] = rehashed(lanes[lane])
    return f"block {len(lanes[lane])} is not the one that was anchored"


def fullest(lanes: Lanes) -> str:
    return max(
        (lane for lane in lanes if lane.startswith("journal/ledger/")), key=lambda lane: len(lanes[lane])
    )


@pytest.mark.timeout(120)
async def test_an_archive_is_sound_and_tampering_with_it_is_named(
    small_line: RunningLine, tmp_path: Path
) -> None:
    """The forger writes the archive again so that all its own hashes fit; only the anchor is out of reach."""
    anchor, folder, forged = tmp_path / "anchor.json", tmp_path / "archive", tmp_path / "forged"
    code, said = await small_line.winnow("audit", "archive", "--archive", str(folder))
    assert code == 0, said
    code, said = await small_line.winnow("audit", "anchor", str(anchor))
    assert code == 0, said
    heads = read_anchor(anchor.read_bytes()).by_lane()
    lanes = await asyncio.to_thread(read_lanes, folder)
    sound = await verify_archive(
        Location(str(folder)), heads, datetime.now(UTC), profiles=PROFILES, processes=2
    )
    assert (sound.exit_code, sound.findings) == (0, ())
    assert all(sound.counts[name] for name in ("tasks", "verdicts", "routing choices", "entries", "bills"))
    tampers: list[Callable[[Lanes], str]] = [
        lose_a_block,
        swap_blocks,
        lose_an_event_of_a_block,
        lose_a_record,
    ]
    for tamper in [*tampers, change_a_verdict, change_a_balance, rewrite_the_past]:
        edited = copy.deepcopy(lanes)
        expected = tamper(edited)
        await asyncio.to_thread(write_lanes, forged, edited)
        alone = await verify_archive(
            Location(str(forged)), {}, datetime.now(UTC), profiles=PROFILES, processes=1
        )
        against = await verify_archive(
            Location(str(forged)), heads, datetime.now(UTC), profiles=PROFILES, processes=1
        )
        texts = [finding.text for finding in against.findings]
        assert any(text.startswith(expected) for text in texts), (tamper.__name__, texts)
        assert against.exit_code == 1
        assert alone.exit_code == (0 if tamper is rewrite_the_past else 1), alone.findings

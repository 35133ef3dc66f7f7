"""Topics alone and journals alone prove what the stories before left behind, and every tampering with them is named."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pymongo
import pytest
from pymongo.collection import Collection

from tests.support.line import RunningLine
from winnow.audit.anchors import read_anchor
from winnow.audit.chains import digest_of
from winnow.audit.verify import Result, Verification
from winnow.cli.audit_sources import read_journals

Blocks = Collection[dict[str, Any]]


@pytest.fixture(scope="module")
def database(whole_line: RunningLine) -> Iterator[pymongo.MongoClient[dict[str, Any]]]:
    with pymongo.MongoClient(whole_line.addresses.mongo_uri, tz_aware=True) as client:
        yield client


async def audit(line: RunningLine, *arguments: str) -> tuple[int, dict[str, Any]]:
    code, said = await line.winnow("audit", "verify", *arguments, "--json")
    return code, json.loads(said)


async def test_each_source_alone_is_sound_and_both_tell_the_same(line: RunningLine) -> None:
    async with line.client() as client:
        for _ in range(2):
            task = await client.end(await client.order(k=1))
            assert task["state"] == "delivered"
    code, topics = await audit(line, "--from", "topics")
    assert (code, topics["findings"]) == (0, [])
    code, journals = await audit(line, "--from", "journals")
    assert (code, journals["findings"]) == (0, [])
    for name in ("tasks", "accounts", "entries", "routing choices"):
        assert topics["counts"][name] == journals["counts"][name] > 0, name
    assert topics["counts"]["verdicts"] > 0
    services = {one["lane"].split("/")[1] for one in journals["lanes"]}
    assert services == {"ledger", "router", "delivery", "ingest", "ingest-api"}


def first_blocks(client: pymongo.MongoClient[dict[str, Any]]) -> tuple[Blocks, str, list[dict[str, Any]]]:
    """Give the ledger's fullest shard, whose chain the test may write again and must give back."""
    journal = client["winnow_ledger"]["journal"]
    shards = {one: journal.count_documents({"shard": one}) for one in journal.distinct("shard")}
    shard = max(shards, key=lambda one: shards[one])
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
    for one, other in ((kept[1], kept[2]), (kept[2], kept[1])):
        journal.insert_one({**one, **{name: other[name] for name in numbers}})
    return "the contents of block 2 do not give its hash: it was changed"


def drop_an_event(journal: Blocks, kept: list[dict[str, Any]]) -> str:
    """Take an event out and hash everything after it again, so that only the sequence shows it."""
    victim = next(
        number
        for number, block in enumerate(kept)
        if any(entry["topic"] for entry in block["decisions"][0]["entries"][:-1])
    )
    entries = kept[victim]["decisions"][0]["entries"]
    gone = next(one for one in entries if one["topic"])
    changed = [{**one} for one in kept]
    changed[victim]["decisions"] = [
        {**kept[victim]["decisions"][0], "entries": [one for one in entries if one is not gone]},
        *kept[victim]["decisions"][1:],
    ]
    _write_again(journal, changed, victim)
    return "1 events of ledger are missing"


def rewrite_the_end(journal: Blocks, kept: list[dict[str, Any]]) -> str:
    changed = [{**one} for one in kept]
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
    verification = Verification("journals", heads, kinds=["journal"])
    await read_journals(line.addresses.mongo_uri, verification)
    return verification.close(datetime.now(UTC))


@pytest.mark.timeout(90)
async def test_tampering_with_a_journal_is_named(
    line: RunningLine, database: pymongo.MongoClient[dict[str, Any]], tmp_path: Path
) -> None:
    anchor = tmp_path / "anchor.json"
    code, said = await line.winnow("audit", "anchor", str(anchor))
    assert code == 0, said
    anchored = anchor.read_bytes()
    journal, shard, kept = first_blocks(database)
    tampers: list[Callable[[Blocks, list[dict[str, Any]]], str]]
    tampers = [flip_a_byte, drop_a_block, swap_two_blocks, drop_an_event]
    for tamper in [*tampers, rewrite_the_end]:
        expected = tamper(journal, kept)
        try:
            alone, against = await verified(line), await verified(line, anchored)
        finally:
            journal.delete_many({"shard": shard})
            journal.insert_many(kept)
        found = {one.text: one.subject for one in against.findings}
        what = next((one for one in found if one.startswith(expected)), "")
        assert what, (tamper.__name__, found)
        if tamper is drop_an_event:
            assert found[what] in str(kept)
        else:
            assert found[what] == f"journal/ledger/{shard}"
        assert against.exit_code == 1
        assert alone.exit_code == (0 if tamper is rewrite_the_end else 1), alone.findings
    assert (await audit(line, "--from", "journals", "--anchor", str(anchor)))[0] == 0


async def test_a_source_that_does_not_answer_is_not_called_sound(line: RunningLine) -> None:
    code, said = await line.winnow("audit", "verify", "--from", "topics", "--bootstrap", "127.0.0.1:1")
    assert code == 2, said

"""The audit leaves out what a newer build wrote, and the report says so."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from scripts.journals import JOURNALS_FOLDER, deciders, fold, read_blocks
from tests.support.builders.forged_archive import write_lanes
from winnow.audit.archive_verify import verify_archive
from winnow.audit.blob_store import Location
from winnow.audit.chains import digest_of
from winnow.audit.lanes import RECORD_TOPICS, journal_lane, topic_lane
from winnow.audit.profiles import SHIPPED, read_profiles
from winnow.audit.replay import BrokenChain
from winnow.audit.verify import RecordJudge, Result, Verifier
from winnow.contracts.ids import shard_of
from winnow.contracts.topics import TASKS
from winnow.eventstore.model import GENESIS

NOW = datetime(2026, 12, 1, tzinfo=UTC)
PROFILES = read_profiles([SHIPPED])
LANE = journal_lane("ledger", "0")
RELEASE = JOURNALS_FOLDER / "0.1.0"
Change = Callable[[dict[str, Any]], dict[str, Any]]


def entries() -> list[dict[str, Any]]:
    """Return what the services of the recorded line published."""
    return [
        entry
        for name in deciders()
        for block in read_blocks(RELEASE / f"{name}.ndjson")
        for decision in block["decisions"]
        for entry in decision["entries"]
        if entry["topic"] in RECORD_TOPICS
    ]


def audited(changes: dict[str, Change], *, with_header: bool = True) -> Result:
    """Audit the topics after changing every record of some types."""
    verifier = Verifier("topics", RecordJudge(PROFILES), kinds=["topic"])
    offsets: dict[str, int] = {}
    for entry in entries():
        document = json.loads(entry["body"])
        document = changes.get(entry["type"], lambda same: same)(document)
        lane = topic_lane(entry["topic"], shard_of(entry["key"], 4))
        headers = [["type", document["type"]]]
        headers += [["version", str(document["version"])]] if with_header else []
        record = {"timestamp_ms": 1, "key": entry["key"], "headers": headers, "body": json.dumps(document)}
        verifier.take(lane, record | {"offset": offsets.get(lane, 0)})
        offsets[lane] = offsets.get(lane, 0) + 1
    return verifier.close(NOW)


def second_version(document: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name != "reservation_id"} | {"version": 2}


@pytest.mark.parametrize("with_header", [True, False])
@pytest.mark.parametrize("type_name", ["task.funded", "task.settled", "entry.recorded", "attempt.finished"])
def test_records_of_a_newer_version_are_named_and_blamed_on_nobody(
    type_name: str, *, with_header: bool
) -> None:
    count = sum(entry["type"] == type_name for entry in entries())
    sound = audited({})
    result = audited({type_name: second_version}, with_header=with_header)
    assert result.notes == (f"{count} records of {type_name} version 2: this build knows version 1 at most",)
    assert set(result.findings) <= set(sound.findings)
    assert result.counts["events"] == sound.counts["events"] - count
    assert sound.notes == ()


def test_records_of_a_type_of_a_newer_build_are_named() -> None:
    result = audited({"round.closed": lambda document: document | {"type": "round.measured"}})
    assert len(result.notes) == 1
    assert "records of round.measured version 1: this build does not know the type" in result.notes[0]
    assert {finding.check for finding in result.findings} <= {
        finding.check for finding in audited({}).findings
    }


def test_a_broken_record_of_a_known_version_is_a_fault() -> None:
    result = audited({"task.funded": lambda document: second_version(document) | {"version": 1}})
    assert result.notes == ()
    assert "readable" in {finding.check for finding in result.findings}
    assert result.exit_code == 1


def _resealed(blocks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    previous = GENESIS
    for block in blocks:
        block["prev_hash"] = previous
        block["hash"] = previous = digest_of(block)
    return blocks


def _journal(type_name: str) -> list[dict[str, Any]]:
    """Return a shard of the ledger's journal with the last event of a type in a newer version."""
    blocks = [block for block in read_blocks(RELEASE / "ledger.ndjson") if block["shard"] == "0"]
    found = [
        entry
        for block in blocks
        for decision in block["decisions"]
        for entry in decision["entries"]
        if entry["type"] == type_name
    ]
    found[-1]["body"] = json.dumps(json.loads(found[-1]["body"]) | {"version": 2, "kind": "unheard_of"})
    return _resealed(blocks)


@pytest.mark.parametrize("type_name", ["entry.recorded", "task.settled"])
def test_an_archived_journal_of_a_newer_build_is_checked_as_far_as_it_is_known(
    tmp_path: Path, type_name: str
) -> None:
    write_lanes(tmp_path, {LANE: _journal(type_name)})
    result = asyncio.run(verify_archive(Location(str(tmp_path)), {}, NOW, profiles=PROFILES, processes=1))
    assert result.findings == ()
    assert result.notes == (f"{LANE}: 1 record of {type_name} version 2: this build knows version 1 at most",)


def test_a_journal_of_a_newer_build_is_not_rebuilt_and_the_reason_is_named() -> None:
    with pytest.raises(BrokenChain, match=r"holds ledger\.granted version 2: this build knows version 1"):
        fold(deciders()["ledger"], _journal("ledger.granted"))


@pytest.mark.parametrize("version", [None, 1, 9])
def test_a_record_that_is_nested_too_deeply_is_no_end_of_the_audit(version: int | None) -> None:
    body = "[" * 5000
    headers = [["type", "task.accepted"]] + ([["version", str(version)]] if version else [])
    verifier = Verifier("topics", RecordJudge(PROFILES), kinds=["topic"])
    record = {"timestamp_ms": 1, "key": "task", "headers": headers, "body": body, "offset": 0}
    verifier.take(topic_lane("tasks", 0), record)
    findings = [finding for finding in verifier.close(NOW).findings if finding.check == "readable"]
    assert len(findings) == (0 if version == 9 else 1)


@pytest.mark.parametrize("kind", ["router.scores_noted", "task.accepted"])
def test_an_entry_that_is_nested_too_deeply_is_a_finding_of_its_block(kind: str) -> None:
    (block, *_) = read_blocks(RELEASE / "router.ndjson")
    topic = TASKS.name if kind == "task.accepted" else None
    block["decisions"][0]["entries"] = [
        {"topic": topic, "key": "k", "type": kind, "is_command": False, "body": "[" * 5000}
    ]
    verifier = Verifier("journals", RecordJudge(PROFILES), kinds=["journal"])
    verifier.take(journal_lane("router", "0"), block)
    assert "readable" in {finding.check for finding in verifier.close(NOW).findings}

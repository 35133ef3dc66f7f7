"""A ledger's archived journal proves its books, and folds into what the live ledger keeps, to the byte."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from services.ledger.domain.decide import DECIDER
from tests.bench.ledger_archive import Made, make_shard, states_sha256
from tests.support.builders.forged_archive import Lanes, read_lanes, rehashed, write_lanes
from winnow.audit.archive_verify import verify_archive
from winnow.audit.blob_store import Location
from winnow.audit.replay import BrokenChain, ShardFold
from winnow.audit.verify import Result

LANE = "journal/ledger/0"
NOW = datetime(2026, 2, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Made]:
    folder = tmp_path_factory.mktemp("archive")
    return folder, make_shard(folder, "0", 120)


def verified(folder: Path) -> Result:
    return asyncio.run(verify_archive(Location(str(folder)), {}, NOW, profiles={}, processes=1))


def folded(blocks: list[dict[str, Any]]) -> ShardFold[Any]:
    fold = ShardFold(DECIDER, LANE)
    for block in blocks:
        fold.take(block)
    return fold


def test_the_fold_is_what_the_live_ledger_keeps(archive: tuple[Path, Made]) -> None:
    folder, made = archive
    fold = folded(read_lanes(folder)[LANE])
    assert fold.events_count == made.events_count
    assert states_sha256([*fold.folded(), *fold.entities()]) == made.live_sha256
    result = verified(folder)
    assert (result.exit_code, result.counts["entries"]) == (0, made.entries_count)


def body_of(blocks: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    return next(
        entry
        for block in blocks
        for decision in block["decisions"]
        for entry in decision["entries"]
        if entry["type"] == kind
    )


def edited(event_type: str, **changes: Any) -> Callable[[list[dict[str, Any]]], None]:
    def edit(blocks: list[dict[str, Any]]) -> None:
        entry = body_of(blocks, event_type)
        entry["body"] = json.dumps(json.loads(entry["body"]) | changes)

    return edit


def lose_an_event(blocks: list[dict[str, Any]]) -> None:
    entries = blocks[-1]["decisions"][0]["entries"]
    entries.remove(next(entry for entry in entries if entry["topic"]))


@pytest.mark.parametrize(
    ("edit", "check"),
    [
        (edited("entry.recorded", available_credits_micro=1), "balance"),
        (edited("entry.recorded", postings=[]), "balance"),
        (edited("task.settled", settled_credits_micro=1), "bill and books"),
        (edited("entry.recorded", kind=7), "readable"),
        (lose_an_event, "sequences"),
    ],
)
def test_books_that_were_changed_and_hashed_again_are_named(
    archive: tuple[Path, Made], tmp_path: Path, edit: Callable[[list[dict[str, Any]]], None], check: str
) -> None:
    lanes: Lanes = read_lanes(archive[0])
    edit(lanes[LANE])
    write_lanes(tmp_path / "forged", {LANE: rehashed(lanes[LANE])})
    assert check in {finding.check for finding in verified(tmp_path / "forged").findings}


def test_a_broken_chain_is_not_folded(archive: tuple[Path, Made]) -> None:
    blocks = read_lanes(archive[0])[LANE]
    with pytest.raises(BrokenChain, match="block 2 is missing"):
        folded([blocks[0], *blocks[2:]])
    changed = [dict(block) for block in blocks]
    changed[1]["offsets"] = [{}]
    with pytest.raises(BrokenChain, match="the contents of block 2"):
        folded(changed)

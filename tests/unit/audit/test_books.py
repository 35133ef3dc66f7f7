"""The books of an archive: no balance below zero, and a debt to providers that the archived attempts give."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.builders.forged_archive import write_lanes
from winnow.audit.archive_verify import verify_archive
from winnow.audit.blob_store import Location
from winnow.audit.books import Books, NumberedEntry
from winnow.contracts.topics import ACCOUNTS, TASKS
from winnow.contracts.values import EntryKind
from winnow.eventstore import Block, Decision
from winnow.eventstore.model import GENESIS, Entry

GOLDEN = Path("tests/contract/golden")
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
COST = 45


def golden(name: str, /, **changes: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((GOLDEN / f"{name}.v1/demo.json").read_text())
    return document | {"occurred_at": AT.isoformat()} | changes


TASK = golden("task.settled")["task_id"]
ACCOUNT = golden("task.settled")["account_id"]


def entry(available: int, held: int, *moves: tuple[str, int, str], sequence: int = 1) -> dict[str, Any]:
    postings = [{"account": name, "amount_micro": amount, "unit": unit} for name, amount, unit in moves]
    return golden(
        "entry.recorded",
        account_id=ACCOUNT,
        subject=ACCOUNT,
        task_id=TASK,
        kind=EntryKind.settle.value,
        sequence=sequence,
        postings=postings,
        available_credits_micro=available,
        held_credits_micro=held,
    )


@pytest.mark.parametrize("below", ["available", "held"])
def test_a_balance_below_zero_is_named_although_its_postings_agree(below: str) -> None:
    available, held = (-5, 5) if below == "available" else (5, -5)
    moves = [(f"customer:{ACCOUNT}:{name}", amount, "credits_micro") for name, amount in (
        ("available", available), ("held", held)
    )]  # fmt: skip
    books = Books()
    books.count(ACCOUNT, 1)
    books.take_entry(NumberedEntry.model_validate(entry(available, held, *moves)))
    assert [finding.check for finding in books.findings] == ["never below zero"]
    assert f"available is {available} and held {held}" in books.findings[0].text


def archive(folder: Path, owed_usd_micro: int, *, later_s: int = 600) -> None:
    """Write an archive of one attempt, its task's bill and the entry that books its cost."""
    task = {"task_id": TASK, "account_id": ACCOUNT}
    bill = golden("task.settled", sequence=2, subject=ACCOUNT)
    costs = {"expected_cost_usd_micro": COST, "actual_cost_usd_micro": COST}
    records = [
        golden("task.accepted", **task, deadline_slack_s=300),
        golden("attempt.submitted", **task, expected_cost_usd_micro=COST),
        golden("attempt.finished", **task, **costs),
        bill,
    ]
    booked = entry(
        0,
        0,
        ("house:provider_cost", owed_usd_micro, "usd_micro"),
        *([("house:provider_payable", -owed_usd_micro, "usd_micro")] if owed_usd_micro else []),
    )
    entries = tuple(
        Entry(topic=topic, key="k", type=event["type"], is_command=False, body=json.dumps(event))
        for topic, event in ((ACCOUNTS.name, booked), (TASKS.name, bill))
    )
    decision = Decision(ACCOUNT, 1, "cause", "f", entries)
    block = Block("0", 1, GENESIS, {}, (decision,), AT + timedelta(seconds=later_s)).sealed()
    documents = [
        {"offset": offset, "timestamp_ms": 0, "key": "k", "headers": [["type", record["type"]]], "body": json.dumps(record)}
        for offset, record in enumerate(records)
    ]  # fmt: skip
    write_lanes(folder, {"journal/ledger/0": [block.to_document()], f"topic/{TASKS.name}/0": documents})


def said(folder: Path) -> list[str]:
    result = asyncio.run(
        verify_archive(Location(str(folder)), {}, AT + timedelta(days=9), profiles={}, processes=1)
    )
    return [
        f"{finding.subject} {finding.text}" for finding in result.findings if finding.check == "provider cost"
    ]


def test_an_archive_whose_books_owe_more_than_the_attempts_cost_is_named(tmp_path: Path) -> None:
    archive(tmp_path, COST)
    assert said(tmp_path) == []
    archive(tmp_path, COST + 1)
    assert said(tmp_path) == [f"{TASK} the books owe providers 46 micro-USD for it, its attempts cost 45"]


def test_a_bill_just_before_the_end_of_the_archived_books_may_not_be_in_them(tmp_path: Path) -> None:
    for later_s, found in ((59, 0), (60, 1)):
        archive(tmp_path, 0, later_s=later_s)
        assert len(said(tmp_path)) == found, later_s

"""The stores that a rebuild makes again: read, compared, spoilt, and rebuilt."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import runpy
import sys
from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from unittest import mock

import pymongo

from tests.support.builders.forged_archive import Lanes
from tests.support.servers.line import RunningLine

STORES = {
    "ledger": ("state_2", "entities_2", "folds", "entries", "entries_read_to"),
    "router": ("state_2", "folds"),
    "delivery": ("state", "folds", "outputs", "webhooks"),
    "ingest": (
        "state_2",
        "folds",
        "http_folds",
        "tasks",
        "candidate_segments",
        "event_segments",
        "refund_refusals",
    ),
}
NOT_RECORDED = {("delivery", "outputs"): "stored_at", ("delivery", "webhooks"): "planned_at"}
"""Times at which delivery wrote its index, just before and just after the end of the task.

The end alone is in the record.
"""
BESIDE_THE_END = timedelta(seconds=30)
Client = pymongo.MongoClient[dict[str, Any]]
Rows = dict[str, dict[Any, dict[str, Any]]]


def everything(client: Client, service: str) -> Rows:
    """Read a service's whole database."""
    database = client[f"winnow_{service}"]
    names = [
        collection_name
        for collection_name in database.list_collection_names()
        if collection_name != "store_leases"
    ]
    return {name: {row["_id"]: row for row in database[name].find()} for name in names}


def indexes(client: Client, service: str) -> dict[str, Any]:
    return {name: client[f"winnow_{service}"][name].index_information() for name in STORES[service]}


def assert_equal(service: str, made: Rows, live: Rows, *, archived: bool = False) -> None:
    assert made.keys() == live.keys()
    for name, all_rows in live.items():
        # The service keeps the ids alone of states that were final before a save; a rebuilding stores those too.
        rows = {key: row for key, row in all_rows.items() if "ids" not in row or "state" in row}
        finals = {task_id for key in all_rows.keys() - rows.keys() for task_id in all_rows[key]["ids"]}
        assert made[name].keys() == rows.keys() | finals, (service, name)
        assert all(made[name][task_id]["is_final"] for task_id in finals), (service, name)
        unrecorded = NOT_RECORDED.get((service, name))
        for key, row in rows.items():
            again = dict(made[name][key])
            if unrecorded is not None:
                assert abs(again[unrecorded] - row[unrecorded]) < BESIDE_THE_END, (service, name, key)
                again[unrecorded] = row[unrecorded]
            if name.endswith("folds"):
                # What was noted after the newest block is lost with the store; at worst a few blocks are sent again.
                # An archive knows it of every block it holds, which a store made again from the journal did not.
                assert again.get("sent_to", 0) <= (_folded_to(row) if archived else row.get("sent_to", 0))
                again["sent_to"] = row.setdefault("sent_to", 0)
            assert again == row, (service, name, key)


def _folded_to(row: dict[str, Any]) -> int:
    """Return how far a shard is folded: each format of states has a number of its own."""
    return max(value for name, value in row.items() if name.startswith("block_no"))


async def rebuild(line: RunningLine, service: str, *options: str) -> tuple[int, str]:
    """Run the module that `winnow rebuild` runs, in this process; return its exit status and what it said."""
    return await asyncio.to_thread(_rebuilt, line, service, options)


def _rebuilt(line: RunningLine, service: str, options: Sequence[str]) -> tuple[int, str]:
    module = f"services.{service}.rebuild"
    said = io.StringIO()
    # A program that runs is no module yet; another test may have imported it.
    imported = sys.modules.pop(module, None)
    with (
        mock.patch.dict(os.environ, line.line.service(service).env),
        mock.patch.object(sys, "argv", [module, *options]),
        contextlib.redirect_stdout(said),
        contextlib.redirect_stderr(said),
    ):
        try:
            runpy.run_module(module, run_name="__main__")
        except SystemExit as left:
            if isinstance(left.code, str):
                said.write(f"{left.code}\n")
            return int(bool(left.code)), said.getvalue()
        finally:
            if imported is not None:
                sys.modules[module] = imported
    return 0, said.getvalue()


async def ended(line: RunningLine, service: str, *argv: str) -> tuple[int, str]:
    """Run a module in a process of its own; return its exit status and what it said."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", *argv),
        env=os.environ | dict(line.line.service(service).env) | {"COLUMNS": "250"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(120):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    return process.returncode or 0, said.decode()


def spoil(client: Client, service: str) -> None:
    """Change a row of every store, lose another, and add one of nobody's."""
    for name in STORES[service]:
        store = client[f"winnow_{service}"][name]
        first, last = store.find_one(sort=[("_id", 1)]), store.find_one(sort=[("_id", -1)])
        assert first is not None
        assert last is not None
        store.update_one({"_id": first["_id"]}, {"$set": {"spoilt": True}})
        store.delete_one({"_id": last["_id"]})
        store.insert_one({"_id": "nobody"})


def blocks_of(lanes: Lanes, service: str, journal: str) -> list[str]:
    start = f"journal/{'ingest-api' if journal == 'http_journal' else service}/"
    return [str(block["_id"]) for lane, items in lanes.items() if lane.startswith(start) for block in items]


def journals_of(service: str) -> tuple[str, ...]:
    return ("journal", "http_journal") if service == "ingest" else ("journal",)

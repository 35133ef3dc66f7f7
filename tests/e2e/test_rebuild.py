"""Every store that a real run left behind is made again from the record, field by field the same, or not touched."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pymongo
import pytest

from tests.support.eventually import eventually
from tests.support.forged_archive import Lanes, read_lanes
from tests.support.line import RunningLine, running_line
from winnow.adapters.leases import Purpose, StoreLease
from winnow.adapters.mongo import Mongo
from winnow.local.line import SERVICES
from winnow.runtime.clock import SystemClock

STORES = {
    "ledger": ("state_2", "entities_2", "folds", "entries", "entries_read_to"),
    "router": ("state", "folds"),
    "delivery": ("state", "folds", "outputs", "webhooks"),
    "ingest": (
        "state",
        "folds",
        "http_folds",
        "tasks",
        "candidates",
        "task_events",
        "entries",
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


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of ``early``, an archive of some of the record, and ``whole``."""
    return tmp_path_factory.mktemp("archives")


@pytest.fixture(scope="module")
def running(archives: Path) -> Iterator[RunningLine]:
    """Run a line until it has something of everything."""
    # Little is scored here, so one process is enough.
    with running_line(settings={"scorer": {"PROCESSES": "1"}}) as line:
        asyncio.run(_orders(line, archives / "early"))
        yield line


async def _orders(line: RunningLine, folder: Path) -> None:
    async with line.client() as client:
        hook = {"url": f"{line.line.receiver_url}/hooks/rebuild"}
        answer = await client.http.post("/v1/webhook-endpoints", json=hook)
        assert answer.status_code == 201, answer.text
        delivered = await client.end(await client.order(k=2))
        assert delivered["state"] == "delivered"
        await archive(line, folder)
        assert (await client.end(await client.order(k=1, template="product_shot", mode="fast")))["complete"]
        await refuse_a_refund(line, delivered)
        cancelled = await client.order(k=1)
        await client.http.post(f"/v1/tasks/{cancelled}/cancel")
        await client.end(cancelled)


async def refuse_a_refund(line: RunningLine, task: dict[str, Any]) -> None:
    """Ask for all that was charged several times at once, so that the ledger refuses what comes second."""
    headers = {"authorization": f"Bearer {line.line.admin_token}"}
    path = f"/v1/admin/tasks/{task['id']}"
    body = {"amount_credits_micro": task["settlement"]["settled_credits_micro"], "reason": "goodwill"}
    async with httpx.AsyncClient(base_url=line.line.api_url, timeout=60, headers=headers) as admin:
        answers = await asyncio.gather(
            *(
                admin.post(f"{path}/refund", json=body, headers={"idempotency-key": f"rebuild-{n}"})
                for n in range(6)
            )
        )
        ids = [answer.json()["refund_id"] for answer in answers if answer.status_code == 202]
        assert len(ids) > 1, [answer.text for answer in answers]

        async def decided() -> bool:
            shown = [(await admin.get(f"{path}/refunds/{id_}")).json()["status"] for id_ in ids]
            return {"refunded", "refused"} == set(shown)

        await eventually(decided, within_s=60)


async def archive(line: RunningLine, folder: Path) -> None:
    code, said = await line.winnow("audit", "archive", "--archive", str(folder))
    assert code == 0, said


@pytest.fixture(scope="module")
def client(running: RunningLine) -> Iterator[Client]:
    with pymongo.MongoClient[dict[str, Any]](running.addresses.mongo_uri, tz_aware=True) as client:
        yield client


@pytest.fixture(scope="module")
def stopped(running: RunningLine, archives: Path) -> RunningLine:
    """Stop the services and keep the servers."""
    running.supervisor.stop()
    asyncio.run(archive(running, archives / "whole"))
    return running


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
    for name, rows in live.items():
        assert made[name].keys() == rows.keys(), (service, name)
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
    """Run what `winnow rebuild` runs; return its exit status and what it said."""
    return await ended(line, service, f"services.{service}.rebuild", *options)


async def ended(line: RunningLine, service: str, *argv: str) -> tuple[int, str]:
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


def test_every_store_that_a_journal_gives_is_named() -> None:
    assert set(STORES) < set(SERVICES)


@pytest.mark.parametrize("service", STORES)
async def test_nothing_is_rebuilt_while_the_service_runs(
    running: RunningLine, service: str, client: Client
) -> None:
    code, said = await rebuild(running, service, "--force")
    assert (code, "held by local-" in said, "serving" in said) == (1, True, True), said
    assert [
        collection for collection in everything(client, service) if collection.startswith("rebuilt_")
    ] == []
    running.supervisor.check()


@pytest.mark.parametrize("service", STORES)
async def test_empty_stores_are_made_again_as_they_were(
    stopped: RunningLine, service: str, client: Client
) -> None:
    live, indexed = everything(client, service), indexes(client, service)
    assert [name for name in STORES[service] if not live[name]] == []
    code, said = await rebuild(stopped, service)
    assert (code, "is not empty" in said) == (1, True), said
    assert everything(client, service) == live
    for name in STORES[service]:
        client[f"winnow_{service}"].drop_collection(name)
    code, said = await ended(stopped, service, "winnow.cli.main", "rebuild", service)
    assert (code, f"{service} is rebuilt" in said) == (0, True), said
    assert_equal(service, everything(client, service), live)
    assert indexes(client, service) == indexed


@pytest.mark.parametrize("service", STORES)
async def test_spoilt_stores_are_replaced_when_asked(
    stopped: RunningLine, service: str, client: Client
) -> None:
    live, indexed = everything(client, service), indexes(client, service)
    spoil(client, service)
    code, said = await rebuild(stopped, service, "--force")
    assert code == 0, said
    assert_equal(service, everything(client, service), live)
    assert indexes(client, service) == indexed


@pytest.mark.parametrize("service", STORES)
async def test_a_spoilt_journal_leaves_the_stores_as_they_are(
    stopped: RunningLine, service: str, client: Client
) -> None:
    journal = client[f"winnow_{service}"]["journal"]
    block = journal.find_one(sort=[("shard", -1), ("block_no", -1)])
    assert block is not None
    journal.update_one({"_id": block["_id"]}, {"$set": {"decisions.0.fingerprint": "changed"}})
    live, indexed = everything(client, service), indexes(client, service)
    try:
        code, said = await rebuild(stopped, service, "--force")
    finally:
        journal.replace_one({"_id": block["_id"]}, block)
    assert code == 1, said
    fault = f"the contents of block {block['block_no']} do not give its hash: it was changed"
    assert said == f"winnow rebuild {service}: journal/{service}/{block['shard']}: {fault}\n"
    live["journal"][block["_id"]] = block
    assert everything(client, service) == live
    assert indexes(client, service) == indexed


@pytest.mark.parametrize("lost", ["the last block", "every block"])
async def test_a_journal_that_lost_blocks_leaves_the_stores_as_they_are(
    stopped: RunningLine, client: Client, lost: str
) -> None:
    journal = client["winnow_router"]["journal"]
    live = everything(client, "router")
    last = max(live["journal"].values(), key=lambda block: int(block["block_no"]))
    gone = [last] if lost == "the last block" else list(live["journal"].values())
    journal.delete_many({"_id": {"$in": [block["_id"] for block in gone]}})
    try:
        code, said = await rebuild(stopped, "router", "--force")
    finally:
        journal.insert_many(gone)
    assert code == 1, said
    assert ("blocks of the journal are lost" if gone == [last] else "its journal is empty") in said
    assert everything(client, "router") == live


@pytest.fixture(scope="module")
def early(running: RunningLine, archives: Path) -> Lanes:
    return read_lanes(archives / "early")


def blocks_of(lanes: Lanes, service: str, journal: str) -> list[str]:
    start = f"journal/{'ingest-api' if journal == 'http_journal' else service}/"
    return [str(block["_id"]) for lane, items in lanes.items() if lane.startswith(start) for block in items]


def journals_of(service: str) -> tuple[str, ...]:
    return ("journal", "http_journal") if service == "ingest" else ("journal",)


@pytest.mark.parametrize("service", STORES)
async def test_a_lost_database_is_made_again_from_an_archive(
    stopped: RunningLine, service: str, client: Client, archives: Path
) -> None:
    database, names = client[f"winnow_{service}"], (*STORES[service], *journals_of(service))
    live = everything(client, service)
    indexed = {name: database[name].index_information() for name in names}
    for name in names:
        database.drop_collection(name)
    code, said = await rebuild(stopped, service)
    assert (code, "its journal is empty" in said) == (1, True), said
    options = ("--from", "archive", "--archive", str(archives / "whole"))
    code, said = await ended(stopped, service, "winnow.cli.main", "rebuild", service, *options)
    assert code == 0, said
    assert_equal(service, everything(client, service), live, archived=True)
    assert {name: database[name].index_information() for name in names} == indexed


@pytest.mark.parametrize("service", STORES)
async def test_an_early_archive_is_gone_on_with_by_what_is_live(
    stopped: RunningLine, service: str, client: Client, archives: Path, early: Lanes
) -> None:
    """The blocks that were archived are spoilt in the journal; those after them are sound."""
    database, live = client[f"winnow_{service}"], everything(client, service)
    archived = {name: blocks_of(early, service, name) for name in journals_of(service)}
    spoil(client, service)
    for name, ids in archived.items():
        assert ids, name
        database[name].update_many({"_id": {"$in": ids}}, {"$set": {"decisions": []}})
    assert len(live["journal"]) > len(archived["journal"])
    place = str(archives / "early")
    code, said = await rebuild(stopped, service, "--archive", place)
    assert (code, "is not empty" in said) == (1, True), said
    code, said = await rebuild(stopped, service, "--archive", place, "--force")
    assert code == 0, said
    assert_equal(service, everything(client, service), live, archived=True)


async def test_a_changed_or_missing_archive_leaves_the_stores_as_they_are(
    stopped: RunningLine, client: Client, archives: Path
) -> None:
    live = everything(client, "ledger")
    code, said = await rebuild(stopped, "ledger", "--force", "--archive", str(archives / "nowhere"))
    assert (code, "there is no archive at" in said) == (1, True), said
    segment = max((archives / "whole/segments/journal/ledger").rglob("*.zst"))
    body = segment.read_bytes()
    segment.write_bytes(body[:-1] + bytes([body[-1] ^ 1]))
    code, said = await rebuild(stopped, "ledger", "--force", "--archive", str(archives / "whole"))
    segment.write_bytes(body)
    assert (code, f"{segment.name} was changed" in said) == (1, True), said
    assert everything(client, "ledger") == live


async def test_a_service_that_starts_meanwhile_waits(stopped: RunningLine, tmp_path: Path) -> None:
    spec = stopped.line.service("ledger")
    mongo = Mongo(stopped.addresses.mongo_uri, "winnow_ledger")
    lease = StoreLease(mongo.database, SystemClock(), "rebuild-here", Purpose.rebuilding)
    await lease.take()
    renewing = asyncio.create_task(lease.run())
    log = tmp_path / "ledger.log"
    with log.open("wb") as out:
        process = subprocess.Popen(spec.argv, env=os.environ | dict(spec.env), stdout=out, stderr=out)
    try:

        async def waits() -> bool:
            return "held by rebuild-here" in log.read_text()

        async def is_ready() -> bool:
            try:
                async with httpx.AsyncClient(timeout=3) as http:
                    return (await http.get(spec.ready_url)).status_code == 200
            except httpx.TransportError:
                return False

        await eventually(waits, within_s=60)
        assert not await is_ready()
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)
        await lease.release()
        await eventually(is_ready, within_s=60)
    finally:
        renewing.cancel()
        mongo.close()
        process.terminate()
        assert process.wait(60) == 0, log.read_text()[-2000:]

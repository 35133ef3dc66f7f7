"""Every store that a real run left behind is made again from the record, field by field the same, or not touched."""

from __future__ import annotations

import asyncio
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pymongo
import pytest

from tests.e2e.rebuild_stores import (
    STORES,
    Client,
    assert_equal,
    blocks_of,
    ended,
    everything,
    indexes,
    journals_of,
    rebuild,
    spoil,
)
from tests.e2e.small_record import archive
from tests.support.builders.forged_archive import Lanes, read_lanes
from tests.support.eventually import eventually
from tests.support.servers.line import RunningLine
from winnow.adapters.leases import Purpose, StoreLease
from winnow.adapters.mongo import Mongo
from winnow.local.line import SERVICES
from winnow.runtime.clock import SystemClock


@pytest.fixture(scope="module")
def client(small_line: RunningLine) -> Iterator[Client]:
    with pymongo.MongoClient[dict[str, Any]](small_line.addresses.mongo_uri, tz_aware=True) as client:
        yield client


@pytest.fixture(scope="module")
def stopped(small_line: RunningLine, archives: Path) -> RunningLine:
    """Stop the services and keep the servers; the archive ``whole`` holds all that they recorded."""
    small_line.supervisor.stop()
    asyncio.run(archive(small_line, archives / "whole"))
    return small_line


def test_every_store_that_a_journal_gives_is_named() -> None:
    assert set(STORES) < set(SERVICES)


@pytest.mark.parametrize("service", STORES)
async def test_nothing_is_rebuilt_while_the_service_runs(
    small_line: RunningLine, service: str, client: Client
) -> None:
    code, said = await rebuild(small_line, service, "--force")
    assert (code, "held by local-" in said, "serving" in said) == (1, True, True), said
    assert [
        collection for collection in everything(client, service) if collection.startswith("rebuilt_")
    ] == []
    small_line.supervisor.check()


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
def early(small_line: RunningLine, archives: Path) -> Lanes:
    return read_lanes(archives / "early")


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
    whole = ("--archive", str(archives / "whole"))
    if service == "router":
        # The command passes the same options on for every service.
        argv = ("winnow.cli.main", "rebuild", service, "--from", "archive", *whole)
        code, said = await ended(stopped, service, *argv)
    else:
        code, said = await rebuild(stopped, service, *whole)
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

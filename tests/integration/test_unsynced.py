"""Writes that do not wait for the disk are kept with the next write that does, also when the server is killed."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest
from pymongo.errors import PyMongoError

from tests.support.journal_store_suite import folded
from winnow.adapters.mongo import Mongo
from winnow.eventstore import MongoJournalStore
from winnow.local import servers
from winnow.local.ports import HOST, choose
from winnow.local.process import Managed

STATES = 20
KILLS = 5


@pytest.mark.parametrize("run", range(KILLS))
async def test_no_shard_is_folded_further_than_its_states_are_kept(tmp_path: Path, run: int) -> None:
    ports = choose(["mongo"], {})
    server = servers.secantus(tmp_path, ports)
    await started(server, ports["mongo"])
    saving = asyncio.create_task(save_without_end(ports["mongo"]))
    await until_folded(ports["mongo"], 3 + run)

    server.kill()

    saving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await saving
    await started(server, ports["mongo"])
    try:
        with contextlib.closing(connected(ports["mongo"])) as mongo:
            store = MongoJournalStore(mongo.database)
            folded_to = await store.folded_to("0")
            states = await store.states(f"task_{number}" for number in range(STATES))
    finally:
        server.kill()
    assert folded_to >= 3 + run
    assert len(states) == STATES
    assert min(state.block_no for state in states.values()) >= folded_to


async def save_without_end(port: int) -> None:
    with contextlib.closing(connected(port)) as mongo:
        store = MongoJournalStore(mongo.database)
        block_no = 0
        while True:
            block_no += 1
            states = [folded(f"task_{number}", block_no) for number in range(STATES)]
            try:
                await store.save(states, {"0": block_no}, {})
            except PyMongoError:
                return


async def until_folded(port: int, block_no: int) -> None:
    with contextlib.closing(connected(port)) as mongo:
        store = MongoJournalStore(mongo.database)
        while await store.folded_to("0") < block_no:
            await asyncio.sleep(0)


def connected(port: int) -> Mongo:
    return Mongo(f"mongodb://{HOST}:{port}", "unsynced")


async def started(server: Managed, port: int) -> None:
    server.start()
    with contextlib.closing(connected(port)) as mongo:
        while True:
            with contextlib.suppress(PyMongoError):
                await mongo.ping()
                return
            server.check_running()

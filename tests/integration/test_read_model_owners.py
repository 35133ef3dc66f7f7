"""Replicas of ingest take partitions from each other, and lose them within a linger: the rows are those of the record."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pymongo
import pytest

from services.ingest.domain.task_row import CANDIDATES_IN_SEGMENT, EVENTS_IN_SEGMENT
from services.ingest.rebuild import VIEWS
from services.ingest.store.views import CANDIDATE_SEGMENTS, EVENT_SEGMENTS
from tests.integration.ingest_neighbours import Neighbours
from tests.integration.ingest_process import (
    BODY,
    Instance,
    Place,
    account,
    ingest_place,
    key_of,
    own_servers,
)
from tests.support.eventually import eventually
from tests.unit.ingest.events import Tale
from winnow.contracts.ids import Prefix, derive_id
from winnow.contracts.values import RoundDecision
from winnow.local.stack import Addresses
from winnow.runtime.lease import LEASE_S

pytestmark = [pytest.mark.timeout(500), pytest.mark.one_bus]
TASKS_COUNT = 6
DIES_WITHIN_THE_LINGER = """
import os, runpy, signal
from services.ingest.app.shared_save import SharedSave

start = SharedSave._start

def dying(self):
    if self._waiting and os.path.exists({flag!r}):
        os.kill(os.getpid(), signal.SIGKILL)
    start(self)

SharedSave._start = dying
runpy.run_module("services.ingest.main", run_name="__main__")
"""


@pytest.fixture
def addresses(bus: str) -> Iterator[Addresses]:
    with own_servers(bus) as addresses:
        yield addresses


class Rounds(Tale):
    """A task that is generated round by round, two candidates each."""

    def __init__(self, task_id: str, account_id: str) -> None:
        super().__init__(task_id, account_id)
        self.candidates: list[str] = []

    async def say_next(self, others: Neighbours) -> None:
        """Publish one more round."""
        task_id, number = self.ids["task_id"], len(self.candidates) // 2
        self.first, self.second = (derive_id(Prefix.candidate, task_id, number, index) for index in (0, 1))
        self.attempt = derive_id(Prefix.attempt, task_id, number)
        self.candidates += [self.first, self.second]
        of_round = {"round_index": number}
        scored = self.scored().model_copy(
            update=of_round | {"chunk_id": derive_id(Prefix.chunk, task_id, number)}
        )
        closed = self.closed().model_copy(update=of_round | {"decision": RoundDecision.regenerate})
        for event in (self.planned(), self.submitted(), self.finished(), self.generated()):
            await others.say("router", event.model_copy(update=of_round))
        await others.say("scorer", scored)
        await others.say("router", closed)

    async def say_end(self, others: Neighbours) -> None:
        """Publish the selection from the last round, its delivery and the bill."""
        await others.say("router", self.selected())
        await others.say("delivery", self.delivered())
        await others.say("ledger", self.settled())


async def say_rounds(tales: list[Rounds], others: Neighbours) -> None:
    await asyncio.gather(*(tale.say_next(others) for tale in tales))


def views(place: Place) -> dict[str, dict[Any, dict[str, Any]]]:
    with pymongo.MongoClient[dict[str, Any]](place.addresses.mongo_uri, tz_aware=True) as client:
        database = client[place.database]
        return {name: {row["_id"]: row for row in database[name].find()} for name in VIEWS}


def is_rebuilt(instance: Instance) -> bool:
    """Make the stores of a stopped instance again; return False while the lease of a killed one counts."""
    command = [sys.executable, "-m", "services.ingest.rebuild", "--force"]
    done = subprocess.run(command, env=instance.env, capture_output=True, text=True, timeout=120, check=False)
    if "its stores are held by" in done.stdout + done.stderr:
        return False
    assert done.returncode == 0, done.stdout + done.stderr
    return True


async def test_replicas_that_take_partitions_while_chunks_spill_leave_the_rows_of_the_record(
    addresses: Addresses, tmp_path: Path
) -> None:
    flag, mine = tmp_path / "die", account()
    async with ingest_place(addresses, tmp_path) as place:
        first, second, others = place.instance("one"), place.instance("two"), place.others
        first.program = ("-c", DIES_WITHIN_THE_LINGER.format(flag=str(flag)))
        await first.start().ready()
        assert first.process is not None
        async with httpx.AsyncClient(base_url=first.url, timeout=30) as client:
            headers = await key_of(client, mine)
            made = [
                await client.post("/v1/tasks", json=BODY, headers=headers | {"Idempotency-Key": str(number)})
                for number in range(TASKS_COUNT)
            ]
        tales = [Rounds(answer.json()["id"], mine) for answer in made]
        # The second replica takes partitions, then all of them, while segments become full.
        joining = asyncio.create_task(second.start().ready())
        while not joining.done():
            await say_rounds(tales, others)
        await joining
        flag.touch()
        while first.process.poll() is None:
            await say_rounds(tales, others)
        assert first.process.returncode == -signal.SIGKILL
        await say_rounds(tales, others)
        await asyncio.gather(*(tale.say_end(others) for tale in tales))

        async with httpx.AsyncClient(base_url=second.url, timeout=30) as client:

            async def all_complete() -> bool:
                page = (await client.get("/v1/tasks?state=delivered&limit=200", headers=headers)).json()
                return len(page["tasks"]) == TASKS_COUNT and all(task["complete"] for task in page["tasks"])

            # The killed replica's partitions move when the broker notices its death.
            await eventually(all_complete, within_s=120)
            ids = [tale.ids["task_id"] for tale in tales]
            await eventually(lambda: all("task.settled" in others.types_of(task_id) for task_id in ids))
            for task_id in ids:
                stream = await client.get(f"/v1/tasks/{task_id}/events", headers=headers)
                types = [line[7:] for line in stream.text.splitlines() if line.startswith("event: ")]
                assert types == others.types_of(task_id)
        second.stop()
    live = views(place)
    candidates = len(tales[0].candidates)
    assert len(live[CANDIDATE_SEGMENTS]) == TASKS_COUNT * (candidates // CANDIDATES_IN_SEGMENT)
    assert len(live[EVENT_SEGMENTS]) >= TASKS_COUNT * (candidates // 2 * 6 // EVENTS_IN_SEGMENT)
    await eventually(lambda: is_rebuilt(second), within_s=2 * LEASE_S)
    assert views(place) == live

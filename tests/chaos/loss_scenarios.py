"""Scenarios of permanent loss: a whole bus, given its record again from the journals.

Pictures that are gone before delivery.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import time
from typing import Any

from tests.chaos.evidence import TOPICS, read_topics
from tests.chaos.scenario import Scenario
from tests.chaos.world import BUS, SERVICES, ChaosWorld
from tests.support.servers import buses
from tests.support.servers.stack import object_client
from winnow.adapters.topics import apply_topics
from winnow.local.line import SHARDS

_ROBBED_MAX = 2


async def _lose_bus(world: ChaosWorld) -> None:
    """Kill the broker, whose topics lie in memory only, and let orders come in meanwhile."""
    await world.kill(BUS)
    await asyncio.sleep(4.0)


async def _give_it_back(world: ChaosWorld) -> None:
    """Do what an operator does: stop the services, make the topics anew, send again, make the read model again."""
    await asyncio.gather(*(world.stop_service(service) for service in SERVICES))
    await world.start_server(BUS)
    await apply_topics(world.kafka_bootstrap, shards=SHARDS, replicas=1)
    # The places of dead letters on the lost bus mean nothing on this one.
    world.notes.pop("dead letters", None)
    until_s = time.monotonic() + 60
    while True:
        code, said = await world.winnow("reemit")
        if code == 0 or "are held by" not in said or time.monotonic() > until_s:
            break
        await asyncio.sleep(2.0)
    _expect(code, said)
    _expect(*await _rebuild_ingest(world))
    await asyncio.gather(*(world.start_service(service) for service in SERVICES))


async def _rebuild_ingest(world: ChaosWorld) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "services.ingest.rebuild", "--force"),
        env=os.environ | dict(world.line.service("ingest").env),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(process.communicate(), 240)
    return process.returncode or 0, said.decode()


def _expect(code: int, said: str) -> None:
    assert code == 0, said


async def _selected(world: ChaosWorld) -> dict[str, list[dict[str, Any]]]:
    """Return what was selected for the tasks of the scenario's client, by task."""
    found = {}
    for record in await read_topics(world.kafka_bootstrap, TOPICS[:1]):
        body = record["body"]
        if body.get("type") == "task.selected" and body["task_id"] in world.promised:
            found[body["task_id"]] = [candidate["stored"] for candidate in body["selected"]]
    return found


async def _lose_pictures(world: ChaosWorld) -> None:
    """Freeze delivery, wait for selections that it has not seen, and delete what was selected."""
    world.freeze("delivery")
    before = await _selected(world)
    until_s = time.monotonic() + 120
    while not (
        fresh := {task: kept for task, kept in (await _selected(world)).items() if task not in before}
    ):
        assert time.monotonic() < until_s, "nothing was selected while delivery was frozen"
        await asyncio.sleep(0.3)
    for task_id in list(fresh)[:_ROBBED_MAX]:
        for stored in fresh[task_id]:
            await asyncio.to_thread(_delete, world, stored)
        world.robbed.append(task_id)


def _delete(world: ChaosWorld, stored: dict[str, Any]) -> None:
    with contextlib.closing(object_client(world.addresses)) as client:
        client.delete_object(Bucket=stored["bucket"], Key=stored["key"])


async def _go_on(world: ChaosWorld) -> None:
    world.thaw("delivery")


LOSSES = (
    Scenario("bus: lost whole, its record sent again from the journals", "7", _lose_bus, _give_it_back, only_on=buses.TANSU),
    Scenario("object store: selected pictures are gone before delivery", "10", _lose_pictures, _go_on, all_delivered=False),
)  # fmt: skip

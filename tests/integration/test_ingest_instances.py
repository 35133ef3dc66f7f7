"""Instances of ingest that are killed, or that work at once: each order becomes a single task."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from tests.integration.ingest_process import BODY, Place, account, ingest_place, key_of, own_servers
from tests.support.eventually import eventually
from winnow.local.stack import Addresses

pytestmark = pytest.mark.timeout(500)


@pytest.fixture
def addresses(bus: str) -> Iterator[Addresses]:
    with own_servers(bus) as addresses:
        yield addresses


@pytest.fixture
async def place(addresses: Addresses, tmp_path: Path) -> AsyncIterator[Place]:
    async with ingest_place(addresses, tmp_path) as place:
        yield place


async def test_orders_that_were_accepted_survive_a_kill_and_are_published_once(place: Place) -> None:
    instance = await place.instance("one").start().ready()
    mine = account()
    async with httpx.AsyncClient(base_url=instance.url, timeout=30) as client:
        headers = await key_of(client, mine)
        accepted: dict[str, bytes] = {}

        async def order(number: int) -> None:
            try:
                answer = await client.post(
                    "/v1/tasks", json=BODY, headers=headers | {"Idempotency-Key": str(number)}
                )
            except httpx.TransportError:
                return
            if answer.status_code == 202:
                accepted[str(number)] = answer.content

        orders = [asyncio.create_task(order(number)) for number in range(40)]
        await eventually(lambda: len(accepted) >= 10)
        instance.kill()
        await asyncio.gather(*orders)
    two = await place.instance("two").start().ready()
    async with httpx.AsyncClient(base_url=two.url, timeout=30) as client:
        for number in range(40):
            answer = await client.post(
                "/v1/tasks", json=BODY, headers=headers | {"Idempotency-Key": str(number)}
            )
            assert answer.status_code == 202, answer.text
            if str(number) in accepted:
                assert answer.content == accepted[str(number)]
            accepted[str(number)] = answer.content
        ids = {json.loads(body)["id"] for body in accepted.values()}
        assert len(ids) == 40

        def all_recorded_once() -> bool:
            return all(place.others.types_of(task_id).count("task.accepted") == 1 for task_id in ids)

        await eventually(all_recorded_once, within_s=120)

        def reserved() -> list[str]:
            reserves = {
                reserve_credits["command_id"]: reserve_credits["task_id"]
                for reserve_credits in place.others.commands["ReserveCredits"]
            }
            return sorted(task for task in reserves.values() if task in ids)

        # Commands have a topic of their own, read apart from the events.
        await eventually(lambda: set(reserved()) == ids, within_s=120)
        assert reserved() == sorted(ids)

        async def all_funded() -> bool:
            page = (await client.get("/v1/tasks?state=funded&limit=200", headers=headers)).json()
            return {task["id"] for task in page["tasks"]} == ids

        # The killed instance's share of the group comes back when the broker notices its death.
        await eventually(all_funded, within_s=90)


@pytest.mark.one_bus
async def test_two_instances_make_one_task_of_one_request(place: Place) -> None:
    first_instance, second_instance = place.instance("one").start(), place.instance("two").start()
    await asyncio.gather(first_instance.ready(), second_instance.ready())
    mine = account()
    async with (
        httpx.AsyncClient(base_url=first_instance.url, timeout=30) as first,
        httpx.AsyncClient(base_url=second_instance.url, timeout=30) as second,
    ):
        headers = await key_of(first, mine)
        pairs = await asyncio.gather(
            *(
                client.post("/v1/tasks", json=BODY, headers=headers | {"Idempotency-Key": str(number)})
                for number in range(20)
                for client in (first, second)
            )
        )
        assert {answer.status_code for answer in pairs} == {202}
        replayed = [answer.headers.get("idempotent-replayed") for answer in pairs]
        assert replayed.count("true") == 20
        for number in range(20):
            assert pairs[2 * number].content == pairs[2 * number + 1].content
        clash = await second.post(
            "/v1/tasks", json=BODY | {"k": 3}, headers=headers | {"Idempotency-Key": "0"}
        )
        assert clash.json()["code"] == "idempotency_key_reused"
        task_id = pairs[0].json()["id"]
        both = [await client.get(f"/v1/tasks/{task_id}", headers=headers) for client in (first, second)]
        assert [answer.status_code for answer in both] == [200, 200]
    ids = {answer.json()["id"] for answer in pairs}
    await eventually(lambda: all("task.funded" in place.others.types_of(id_) for id_ in ids), within_s=30)
    assert all(place.others.types_of(task_id).count("task.accepted") == 1 for task_id in ids)

"""Scenarios of clients: one key many times, one key for two orders, cancels on the way, credits that run out."""

from __future__ import annotations

import asyncio
import random
from http import HTTPStatus

from tests.chaos.scenario import Scenario
from tests.chaos.world import ChaosWorld

_COPIES = 200
_CANCELLABLE = 12
_ORDER = {"template": "studio_headshot", "mode": "low_cost", "k": 2, "prompt": "one and the same"}
_CANCELLED = {HTTPStatus.OK, HTTPStatus.ACCEPTED, HTTPStatus.CONFLICT}


async def _one_key_at_once(world: ChaosWorld) -> None:
    key = f"{world.customer.account_id}-same"
    answers = await asyncio.gather(*(world.customer.submit(key=key, **_ORDER) for _ in range(_COPIES)))
    ids = {answer.json()["id"] for answer in answers if answer.status_code == HTTPStatus.ACCEPTED}
    strange = {answer.status_code for answer in answers} - {HTTPStatus.ACCEPTED, HTTPStatus.CONFLICT}
    if len(ids) != 1 or strange:
        world.breaches.append(f"I2 one key, {_COPIES} times: tasks {sorted(ids)}, statuses {sorted(strange)}")
    world.promised += ids


async def _another_body(world: ChaosWorld) -> None:
    key = f"{world.customer.account_id}-twice"
    first = await world.customer.submit(key=key, **_ORDER)
    assert first.status_code == HTTPStatus.ACCEPTED, first.text
    world.promised.append(first.json()["id"])
    other = await world.customer.submit(key=key, **{**_ORDER, "k": 3})
    if other.status_code not in {HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY}:
        world.breaches.append(f"I2 one key for two bodies: {other.status_code}")
    again = await world.customer.submit(key=key, **_ORDER)
    if again.status_code != HTTPStatus.ACCEPTED or again.json()["id"] != first.json()["id"]:
        world.breaches.append(f"I2 the first body again: {again.status_code} {again.text}")


async def _cancel_on_the_way(world: ChaosWorld) -> None:
    """Cancel orders between nothing and five seconds after they were accepted, each twice at once."""
    chance = random.Random(7)
    ids = [await world.customer.order(**_ORDER) for _ in range(_CANCELLABLE)]
    world.promised += ids

    async def cancel(task_id: str, after_s: float) -> None:
        await asyncio.sleep(after_s)
        path = f"/v1/tasks/{task_id}/cancel"
        for answer in await asyncio.gather(*(world.customer.http.post(path) for _ in range(2))):
            if answer.status_code not in _CANCELLED:
                world.breaches.append(f"I2 cancel of {task_id}: {answer.status_code} {answer.text}")

    await asyncio.gather(*(cancel(id_, chance.uniform(0.0, 5.0)) for id_ in ids))


CLIENT = (
    Scenario(f"client: one key {_COPIES} times at once", "25", _one_key_at_once),
    Scenario("client: one key for two bodies", "25", _another_body),
    Scenario("client: cancels while it completes", "25", _cancel_on_the_way, all_delivered=False),
    Scenario("client: credits run out under load", "25", all_delivered=False, credit_count=6, tasks=20),
)

"""Load on the public API: as fast as it goes, at a fixed rate, or one order after the other; and the wait for the ends."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import aiohttp

from tests.support.servers.line import Client

_LOOK_EVERY_S: Final = 0.25
_STUCK_S: Final = 60.0
_CONNECTIONS_MAX: Final = 256


async def place(client: Client, order: Mapping[str, Any], count: int, at_once: int) -> list[float]:
    """Place orders from ``at_once`` connections; return how long each acceptance took, in ms."""
    waits_ms: list[float] = []
    numbers = iter(range(count))
    async with _session(client, at_once) as http:

        async def connection() -> None:
            for _ in numbers:
                started = time.perf_counter()
                await _post(http, client, order)
                waits_ms.append((time.perf_counter() - started) * 1000)

        await asyncio.gather(*(connection() for _ in range(at_once)))
    return waits_ms


async def at_rate(client: Client, order: Mapping[str, Any], per_s: float, count: int) -> list[float]:
    """Send orders at a steady rate, whatever the answers do; return the waits in ms from when each was due."""
    waits_ms: list[float] = []
    async with _session(client, _CONNECTIONS_MAX) as http:

        async def send(due_s: float) -> None:
            await asyncio.sleep(due_s - time.perf_counter())
            await _post(http, client, order)
            waits_ms.append((time.perf_counter() - due_s) * 1000)

        started = time.perf_counter()
        await asyncio.gather(*(send(started + number / per_s) for number in range(count)))
    return waits_ms


def _session(client: Client, connections: int) -> aiohttp.ClientSession:
    return aiohttp.ClientSession(
        headers={"authorization": client.http.headers["authorization"]},
        connector=aiohttp.TCPConnector(limit=connections),
    )


async def _post(http: aiohttp.ClientSession, client: Client, order: Mapping[str, Any]) -> None:
    url = f"{str(client.http.base_url).rstrip('/')}/v1/tasks"
    headers = {"idempotency-key": f"bench-{time.monotonic_ns()}"}
    async with http.post(url, json=order, headers=headers) as answer:
        assert answer.status == 202, await answer.text()
        await answer.read()


async def settled(client: Client, outputs: int) -> None:
    """Wait until the account has paid for ``outputs`` in all; the account alone is read.

    Raises AssertionError when its balance does not move for a minute, as with an order that failed.
    """
    price = (await client.get("/v1/tasks", limit=1))["tasks"][0]["price_per_output_credits_micro"]
    moved_s, last = time.monotonic(), None
    while (account := await client.balance())["settled_credits_micro"] < outputs * price:
        if account != last:
            moved_s, last = time.monotonic(), account
        assert time.monotonic() - moved_s < _STUCK_S, (
            f"of {outputs} outputs, {account['settled_credits_micro'] // price} are settled and no more come;"
            f" the orders by state: {dict(await states(client))}"
        )
        await asyncio.sleep(_LOOK_EVERY_S)
    assert account["held_credits_micro"] == 0, account


async def all_delivered(client: Client, orders: int) -> None:
    """Wait until the read model shows every end, which it may do after the bill; raises AssertionError for another end."""
    deadline_s = time.monotonic() + _STUCK_S
    while (found := await states(client)) != Counter(delivered=orders):
        if time.monotonic() > deadline_s:
            assert_delivered(found, orders)
        await asyncio.sleep(0.5)


def assert_delivered(found: Counter[str], orders: int) -> None:
    """Raise AssertionError unless every order was delivered: a figure of failed orders is no figure of the line."""
    assert found == Counter(delivered=orders), f"of {orders} orders, by state: {dict(found)}"


async def states(client: Client) -> Counter[str]:
    """Count the account's tasks by state."""
    found: Counter[str] = Counter()
    cursor: dict[str, Any] = {}
    while True:
        page = await client.get("/v1/tasks", limit=100, **cursor)
        found.update(task["state"] for task in page["tasks"])
        if not page["next_cursor"]:
            return found
        cursor = {"cursor": page["next_cursor"]}


async def one_by_one(client: Client, order: Mapping[str, Any], count: int) -> tuple[list[float], list[float]]:
    """Order one by one; return accepted to delivered by the record's own times, and order to bill as a client sees it.

    The client follows the task's stream of events, as one who waits should: asking again and again costs the
    database more than the order does.
    """
    delivered: list[float] = []
    billed: list[float] = []
    for _ in range(count):
        started = time.perf_counter()
        task_id = await client.order(**order)
        async with client.http.stream("GET", f"/v1/tasks/{task_id}/events") as events:
            async for _ in events.aiter_lines():
                pass
        billed.append((time.perf_counter() - started) * 1000)
        task = await client.end(task_id)
        assert task["state"] == "delivered", task["end"]
        from_at, to_at = (
            datetime.fromisoformat(moment) for moment in (task["created_at"], task["end"]["at"])
        )
        delivered.append((to_at - from_at).total_seconds() * 1000)
    return delivered, billed

"""Gathers the evidence of a scenario from outside, once the line has come to rest."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Sequence
from http import HTTPStatus

import httpx

from tests.chaos.evidence import (
    TOPICS,
    Evidence,
    dead_letter_topics,
    find_leaks,
    read_journals,
    read_logs,
    read_topics,
)
from tests.chaos.world import SERVICES, ChaosWorld
from tests.support.servers.line import Client


async def collect(world: ChaosWorld, client: Client, seen: Evidence, canaries: Sequence[str]) -> None:
    for task_id in seen.promised:
        bill = await _answer(client, f"/v1/tasks/{task_id}/bill")
        if bill.status_code == 200:
            seen.bills[task_id] = bill.json()
        await _links(client, task_id, seen)
    seen.balance = await client.balance()
    async with world.client(credit_count=0) as other:
        for task_id in seen.promised[:3]:
            for path in ("", "/outputs", "/bill", "/candidates"):
                seen.foreign_status.append((await other.http.get(f"/v1/tasks/{task_id}{path}")).status_code)
    await _hooks(world, client, seen)
    await _records(world, seen)
    seen.not_running = world.not_running() + await _not_ready(world)
    texts = await asyncio.to_thread(read_logs, world.logs)
    texts["the topics"] = "".join(record["raw"].decode(errors="replace") for record in seen.records)
    texts["the journals"] = "".join(text for _, text, _ in seen.journalled)
    texts["the dead letters"] = "".join(
        letter["raw"].decode(errors="replace") + str(letter["headers"]) for letter in seen.dead_letters
    )
    texts |= await _metrics(world)
    seen.leaks = find_leaks(canaries, texts)


async def _records(world: ChaosWorld, seen: Evidence, within_s: float = 60) -> None:
    """Read journals and topics until they agree: a mark may be on its way, and a broker may show an older end first."""
    direct = f"mongodb://127.0.0.1:{world.stack.ports['mongo']}/?directConnection=true"
    until_s = time.monotonic() + within_s
    while True:
        rows = await asyncio.to_thread(read_journals, direct)
        seen.journalled = [row for row in rows if seen.account_id in row[1]]
        seen.records = await read_topics(world.kafka_bootstrap, TOPICS)
        on_bus = {str(record["body"].get("event_id")) for record in seen.records}
        agree = all(
            is_marked and str(json.loads(text)["event_id"]) in on_bus
            for _, text, is_marked in seen.journalled
        )
        if agree or time.monotonic() > until_s:
            break
        await asyncio.sleep(0.5)
    put_aside = await read_topics(world.kafka_bootstrap, await dead_letter_topics(world.kafka_bootstrap))
    known: set[tuple[str, int, int]] = world.notes.setdefault("dead letters", set())
    places = [(letter["topic"], letter["partition"], letter["offset"]) for letter in put_aside]
    seen.dead_letters = [
        letter for place, letter in zip(places, put_aside, strict=True) if place not in known
    ]
    known.update(places)


async def _metrics(world: ChaosWorld) -> dict[str, str]:
    pages = {}
    async with httpx.AsyncClient(timeout=30) as http:
        for service in SERVICES:
            answer = await http.get(f"{world.line.ops_url(service)}/metrics")
            assert answer.status_code == 200, f"{service} shows no metrics"
            pages[f"the metrics of {service}"] = answer.text
    return pages


async def _answer(client: Client, path: str, within_s: float = 60) -> httpx.Response:
    """Ask as a client does: again while the line says that it cannot answer now, as in a rebalance that still goes on."""
    until_s = time.monotonic() + within_s
    while True:
        answer = await client.http.get(path)
        if answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR or time.monotonic() > until_s:
            return answer
        await asyncio.sleep(0.5)


async def _links(client: Client, task_id: str, seen: Evidence) -> None:
    answer = await _answer(client, f"/v1/tasks/{task_id}/outputs")
    if answer.status_code != 200:
        return
    async with httpx.AsyncClient(timeout=60) as http:
        for output in answer.json()["outputs"]:
            got = await http.get(output["url"])
            digest = hashlib.sha256(got.content).hexdigest()
            seen.links.append((task_id, output["candidate_id"], got.status_code, digest))


async def _hooks(world: ChaosWorld, client: Client, seen: Evidence) -> None:
    async def settled() -> bool:
        seen.hook_log = [
            delivery
            for task_id in seen.promised
            for delivery in (await client.get("/v1/webhook-deliveries", task_id=task_id))["deliveries"]
        ]
        done = {"delivered", "exhausted"}
        return len(seen.hook_log) >= len(seen.promised) and all(
            delivery["state"] in done for delivery in seen.hook_log
        )

    until_s = time.monotonic() + 180
    while not await settled() and time.monotonic() < until_s:
        await asyncio.sleep(0.5)
    hooks = await world.ask("receiver", "/_deliveries")
    seen.hooks = [hook for hook in hooks if hook["path"].endswith(f"/{client.account_id}")]


async def _not_ready(world: ChaosWorld) -> list[str]:
    found = []
    async with httpx.AsyncClient(timeout=30) as http:
        for service in SERVICES:
            answer = await http.get(f"{world.line.ops_url(service)}/readyz")
            if answer.status_code != 200:
                found.append(f"{service}: {answer.text}")
    return found

"""Plays rows on one running line: load, fault, recovery, evidence, judgement."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import httpx

from tests.chaos.checker import Verdict, judge
from tests.chaos.evidence import (
    TOPICS,
    Evidence,
    find_leaks,
    read_journals,
    read_lag,
    read_logs,
    read_topics,
)
from tests.chaos.rows import Row
from tests.chaos.world import SERVICES, World
from tests.support.eventually import eventually
from tests.support.line import PROVIDERS, Client

_GROUPS = {
    "winnow-ingest": TOPICS[:2],
    "winnow-router": TOPICS[:1],
    "winnow-delivery": TOPICS[:1],
    "winnow-ledger": TOPICS[2:3],
    "winnow-scorer": TOPICS[3:],
}
_ORDERS = (
    {"template": "studio_headshot", "mode": "low_cost", "k": 1},
    {"template": "product_shot", "mode": "fast", "k": 2, "prompt": "product photo of a mug"},
    {"template": "studio_headshot", "mode": "fast", "k": 1},
    {"template": "product_shot", "mode": "low_cost", "k": 1, "prompt": "product photo of a mug"},
    {"template": "studio_headshot", "mode": "low_cost", "k": 3},
)
_UNANSWERED = (httpx.HTTPError,)


@dataclass
class Outcome:
    """What a row showed."""

    row: str
    matrix: str
    verdict: Verdict
    refused: int
    recover_s: float
    seconds: float

    @property
    def held(self) -> bool:
        """Tell whether every invariant held."""
        return not self.verdict.broken

    def document(self) -> dict[str, Any]:
        """Give it as JSON."""
        return asdict(self) | {"held": self.held}


class Load:
    """Orders of one client that insists: the same key until it is accepted."""

    def __init__(self, client: Client, count: int, canary: str) -> None:
        self.client = client
        self.count = count
        self.promised: list[str] = []
        self.refused = 0
        self._canary = canary

    async def run(self) -> None:
        """Order everything, four at a time."""
        turns = asyncio.Semaphore(4)
        await asyncio.gather(*(self._order(number, turns) for number in range(self.count)))

    async def _order(self, number: int, turns: asyncio.Semaphore) -> None:
        order: dict[str, Any] = dict(_ORDERS[number % len(_ORDERS)])
        order["prompt"] = f"{order.get('prompt', 'studio headshot')} {self._canary}"
        key = f"{self.client.account_id}-{number}"
        until_s = time.monotonic() + 120
        async with turns:
            while True:
                try:
                    answer = await self.client.submit(key=key, **order)
                except _UNANSWERED:
                    answer = None
                if answer is not None and answer.status_code == 202:
                    self.promised.append(answer.json()["id"])
                    return
                self.refused += 1
                retryable = answer is None or answer.status_code >= 500 or answer.status_code in {409, 429}
                assert retryable, answer.text if answer is not None else ""
                assert time.monotonic() < until_s, f"never accepted: {answer.text if answer else 'no answer'}"
                await asyncio.sleep(0.3)


async def play(world: World, row: Row) -> Outcome:
    """Play one row with an account of its own."""
    started_s = time.monotonic()
    canary = f"canary{secrets.token_hex(6)}"
    await world.clear()
    paid_twice = await _paid_twice(world)
    async with world.client(credit_count=500) as client:
        url = f"{world.line.receiver_url}/hook/{client.account_id}"
        made = await client.http.post("/v1/webhook-endpoints", json={"url": url})
        assert made.status_code == 201, made.text
        await world.control("receiver", secrets=[made.json()["secret"]], clear=True)
        await row.arm(world)
        load = Load(client, row.tasks, canary)
        ordering = asyncio.create_task(load.run())
        await eventually(
            lambda: len(load.promised) * 3 >= row.tasks or ordering.done() or _stuck(world), within_s=120
        )
        await row.inject(world)
        await row.recover(world)
        ended_s = time.monotonic()
        await ordering
        seen = Evidence(client.account_id, promised=load.promised)
        await _wait_for_ends(client, seen, row.within_s)
        seen.lag = await _lag(world, 90)
        recover_s = time.monotonic() - ended_s
        await world.clear()
        await _collect(world, client, seen, [canary, client.http.headers["authorization"].split()[-1]])
        seen.billed_twice = await _paid_twice(world) - paid_twice
        verdict = judge(seen)
    if row.all_delivered and verdict.states != {"delivered": row.tasks}:
        verdict.broken.append(f"expected {row.tasks} delivered, got {verdict.states}")
    return Outcome(
        row.name,
        row.matrix,
        verdict,
        load.refused,
        round(recover_s, 1),
        round(time.monotonic() - started_s, 1),
    )


def _stuck(world: World) -> bool:
    """Tell whether an armed service has already died, so that the load can go no further without it."""
    return bool(world.not_running())


async def _wait_for_ends(client: Client, seen: Evidence, within_s: float) -> None:
    until_s = time.monotonic() + within_s
    open_ = list(seen.promised)
    while open_ and time.monotonic() < until_s:
        try:
            task = await client.task(open_[0])
        except (*_UNANSWERED, AssertionError):
            await asyncio.sleep(0.3)
            continue
        seen.tasks[open_[0]] = task
        if task["complete"]:
            open_.pop(0)
        else:
            await asyncio.sleep(0.2)
    for task_id in open_:
        seen.tasks[task_id] = await client.task(task_id)


async def _lag(world: World, within_s: float) -> int:
    until_s = time.monotonic() + within_s
    while True:
        lag = await read_lag(world.kafka_bootstrap, _GROUPS)
        if lag == 0 or time.monotonic() > until_s:
            return lag
        await asyncio.sleep(0.5)


async def _paid_twice(world: World) -> int:
    ledgers = [await world.ask(one, "/_ledger") for one in PROVIDERS]
    return sum(len(one["billed_twice"]) for one in ledgers)


async def _collect(world: World, client: Client, seen: Evidence, canaries: Sequence[str]) -> None:
    for task_id in seen.promised:
        bill = await client.http.get(f"/v1/tasks/{task_id}/bill")
        if bill.status_code == 200:
            seen.bills[task_id] = bill.json()
        await _links(client, task_id, seen)
    seen.balance = await client.balance()
    async with world.client(credit_count=0) as other:
        for task_id in seen.promised[:3]:
            for path in ("", "/outputs", "/bill", "/candidates"):
                seen.foreign_status.append((await other.http.get(f"/v1/tasks/{task_id}{path}")).status_code)
    await _hooks(world, client, seen)
    direct = f"mongodb://127.0.0.1:{world.stack.ports['mongo']}/?directConnection=true"

    async def all_marked() -> bool:
        rows = await asyncio.to_thread(read_journals, direct)
        seen.journalled = [one for one in rows if seen.account_id in one[1]]
        return all(is_marked for _, _, is_marked in seen.journalled)

    until_s = time.monotonic() + 20
    while not await all_marked() and time.monotonic() < until_s:
        await asyncio.sleep(0.5)
    seen.records = await read_topics(world.kafka_bootstrap, TOPICS)
    seen.not_running = world.not_running() + await _not_ready(world)
    texts = await asyncio.to_thread(read_logs, world.logs)
    texts["the topics"] = "".join(one["raw"].decode(errors="replace") for one in seen.records)
    seen.leaks = find_leaks(canaries, texts)


async def _links(client: Client, task_id: str, seen: Evidence) -> None:
    answer = await client.http.get(f"/v1/tasks/{task_id}/outputs")
    if answer.status_code != 200:
        return
    async with httpx.AsyncClient(timeout=20) as http:
        for output in answer.json()["outputs"]:
            got = await http.get(output["url"])
            digest = hashlib.sha256(got.content).hexdigest()
            seen.links.append((task_id, output["candidate_id"], got.status_code, digest))


async def _hooks(world: World, client: Client, seen: Evidence) -> None:
    async def settled() -> bool:
        seen.hook_log = [
            one
            for task_id in seen.promised
            for one in (await client.get("/v1/webhook-deliveries", task_id=task_id))["deliveries"]
        ]
        done = {"delivered", "exhausted"}
        return len(seen.hook_log) >= len(seen.promised) and all(one["state"] in done for one in seen.hook_log)

    until_s = time.monotonic() + 60
    while not await settled() and time.monotonic() < until_s:
        await asyncio.sleep(0.5)
    hooks = await world.ask("receiver", "/_deliveries")
    seen.hooks = [one for one in hooks if one["path"].endswith(f"/{client.account_id}")]


async def _not_ready(world: World) -> list[str]:
    found = []
    async with httpx.AsyncClient(timeout=10) as http:
        for service in SERVICES:
            answer = await http.get(f"{world.line.ops_url(service)}/readyz")
            if answer.status_code != 200:
                found.append(f"{service}: {answer.text}")
    return found


def _states(outcome: Outcome) -> str:
    counts = outcome.verdict.states
    return " | ".join(str(counts.get(one, 0)) for one in ("delivered", "partially_delivered", "failed"))


def table(outcomes: Sequence[Outcome]) -> str:
    """Lay the outcomes out as a table in Markdown."""
    head = "| fault | row of the matrix | tasks | delivered | partly | failed | lost | double charged | wrongly delivered | duplicates | paid twice at a provider | seconds to recover | held |"
    rows = [
        f"| {one.row} | {one.matrix} | {one.verdict.tasks} | {_states(one)} | {one.verdict.lost} | {one.verdict.double_charged} | "
        f"{one.verdict.wrongly_delivered} | {one.verdict.duplicates} | {one.verdict.billed_twice} | {one.recover_s} | "
        f"{'yes' if one.held else 'NO'} |"
        for one in outcomes
    ]
    return "\n".join([head, "|---" * 13 + "|", *rows])


def to_json(outcomes: Sequence[Outcome]) -> str:
    """Give the outcomes as JSON."""
    return json.dumps([one.document() for one in outcomes], indent=1)

"""Plays scenarios on one running line: load, fault, recovery, evidence, judgement."""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from http import HTTPStatus
from typing import Any

import httpx

from tests.chaos.checker import Verdict, judge
from tests.chaos.collect import collect
from tests.chaos.evidence import TOPICS, Evidence, read_lag
from tests.chaos.scenario import Scenario
from tests.chaos.world import ChaosWorld
from tests.support.eventually import eventually
from tests.support.servers.line import PROVIDERS, Client

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
_AMPLE = 500
# A call that a killed router lost counts as spent; the default cap would now and then end an order over it.
_AMPLE_CAP_USD_MICRO = 2_000_000
_SHORT = "expected"
_UNANSWERED = (httpx.HTTPError,)


@dataclass
class Outcome:
    """Outcome of a scenario."""

    row: str
    matrix: str
    verdict: Verdict
    refused: int
    recover_s: float
    seconds: float
    reasons: dict[str, int] = field(default_factory=dict)
    """Reasons why tasks got less than they asked for."""

    @property
    def held(self) -> bool:
        """Return whether every invariant held."""
        return not self.verdict.broken

    @property
    def is_short(self) -> bool:
        """Return whether every invariant held, but a task that a retry could have saved did not get all it asked for."""
        return bool(self.verdict.broken) and all(breach.startswith(_SHORT) for breach in self.verdict.broken)

    def document(self) -> dict[str, Any]:
        """Return the document as JSON."""
        return asdict(self) | {"held": self.held}


class Load:
    """Orders of one client that insists: the same key until it is accepted."""

    def __init__(self, client: Client, count: int, canary: str, *, may_lack_credits: bool = False) -> None:
        self.client = client
        self._may_lack = may_lack_credits
        self.count = count
        self.promised: list[str] = []
        self.refused = 0
        self._canary = canary

    async def run(self) -> None:
        """Order everything, four at a time."""
        turns = asyncio.Semaphore(4)
        await asyncio.gather(*(self._order(number, turns) for number in range(self.count)))

    async def _order(self, number: int, turns: asyncio.Semaphore) -> None:
        order: dict[str, Any] = {
            **_ORDERS[number % len(_ORDERS)],
            "cost_cap_usd_micro": _AMPLE_CAP_USD_MICRO,
        }
        order["prompt"] = f"{order.get('prompt', 'studio headshot')} {self._canary}"
        key = f"{self.client.account_id}-{number}"
        until_s = time.monotonic() + 400
        async with turns:
            while True:
                try:
                    answer = await self.client.submit(key=key, **order)
                except _UNANSWERED:
                    answer = None
                if answer is not None and answer.status_code == 202:
                    self.promised.append(answer.json()["id"])
                    return
                if (
                    answer is not None
                    and answer.status_code == HTTPStatus.PAYMENT_REQUIRED
                    and self._may_lack
                ):
                    return
                self.refused += 1
                retryable = answer is None or answer.status_code >= 500 or answer.status_code in {409, 429}
                assert retryable, answer.text if answer is not None else ""
                assert time.monotonic() < until_s, f"never accepted: {answer.text if answer else 'no answer'}"
                await asyncio.sleep(0.3)


async def play(world: ChaosWorld, row: Scenario) -> Outcome:
    """Play one scenario with an account of its own."""
    started_s = time.monotonic()
    canary = f"canary{secrets.token_hex(6)}"
    await world.clear()
    paid_twice = await _paid_twice(world)
    async with world.client(credit_count=row.credit_count) as client:
        world.customer, world.breaches, world.robbed = client, [], []
        url = f"http://127.0.0.1:{world.fronts['receiver'].port}/hook/{client.account_id}"
        made = await client.http.post("/v1/webhook-endpoints", json={"url": url})
        assert made.status_code == 201, made.text
        await world.control("receiver", secrets=[made.json()["secret"]], clear=True)
        await row.arm(world)
        load = Load(client, row.tasks, canary, may_lack_credits=row.credit_count < _AMPLE)
        world.promised = load.promised
        ordering = asyncio.create_task(load.run())
        await eventually(
            lambda: len(load.promised) * 3 >= row.tasks or ordering.done() or _stuck(world), within_s=400
        )
        await row.inject(world)
        await row.recover(world)
        ended_s = time.monotonic()
        await ordering
        seen = Evidence(client.account_id, promised=load.promised, robbed=world.robbed)
        await _wait_for_ends(client, seen, row.quiet_s)
        seen.lag = await _lag(world, row.quiet_s)
        recover_s = time.monotonic() - ended_s
        await world.clear()
        await collect(world, client, seen, [canary, client.http.headers["authorization"].split()[-1]])
        seen.billed_twice = await _paid_twice(world) - paid_twice
        verdict = judge(seen)
        verdict.broken += world.breaches
    reasons = _reasons(seen)
    expected = max(row.tasks, verdict.tasks)
    if row.all_delivered and verdict.states != {"delivered": expected}:
        verdict.broken.append(f"{_SHORT} {expected} delivered, got {verdict.states}: {reasons}")
    return Outcome(
        row.name,
        row.matrix,
        verdict,
        load.refused,
        round(recover_s, 1),
        round(time.monotonic() - started_s, 1),
        reasons,
    )


def _reasons(seen: Evidence) -> dict[str, int]:
    """Count why tasks got less than they asked for, in the router's words, and what befell their attempts."""
    short = {
        body["task_id"] for kind in ("task.failed", "task.partially_delivered") for body in seen.mine(kind)
    }
    said = [f"failed: {body['code']}" for body in seen.mine("task.failed")]
    said += [f"fewer: {body['reason']}" for body in seen.mine("task.selected") if body["task_id"] in short]
    for body in seen.mine("attempt.finished"):
        if body["task_id"] in short:
            said.append(f"attempt: {body['outcome']} {body['reason'] or ''}".rstrip())
    for kind in ("candidates.failed", "candidates.scored"):
        for body in (event for event in seen.mine(kind) if event["task_id"] in short):
            said += [
                f"candidate: {candidate['reason'] if 'reason' in candidate else _verdict(candidate)}"
                for candidate in body["candidates"]
            ]
    return dict(Counter(said))


def _verdict(candidate: dict[str, Any]) -> str:
    return "passed" if candidate["passed"] else "rejected"


def _stuck(world: ChaosWorld) -> bool:
    """Return whether an armed service has already died, so that the load can go no further without it."""
    return bool(world.not_running())


async def _wait_for_ends(client: Client, seen: Evidence, quiet_s: float) -> None:
    """Wait until every task has its end; give up only when nothing at all has moved for ``quiet_s``."""
    changed_s = time.monotonic()
    while any(not seen.tasks.get(id_, {}).get("complete") for id_ in seen.promised):
        for task_id in seen.promised:
            before = seen.tasks.get(task_id, {})
            if before.get("complete"):
                continue
            try:
                task = await client.task(task_id)
            except (*_UNANSWERED, AssertionError):
                continue
            seen.tasks[task_id] = task
            if task != before:
                changed_s = time.monotonic()
        if time.monotonic() - changed_s > quiet_s:
            return
        await asyncio.sleep(0.3)


async def _lag(world: ChaosWorld, quiet_s: float) -> int:
    """Wait until every record is consumed; give up only when none has been for ``quiet_s``."""
    least, changed_s = sys.maxsize, time.monotonic()
    while True:
        lag = await read_lag(world.kafka_bootstrap, _GROUPS)
        if lag < least:
            least, changed_s = lag, time.monotonic()
        if lag == 0 or time.monotonic() - changed_s > quiet_s:
            return lag
        await asyncio.sleep(0.5)


async def _paid_twice(world: ChaosWorld) -> int:
    ledgers = [await world.ask(provider, "/_ledger") for provider in PROVIDERS]
    return sum(len(ledger["billed_twice"]) for ledger in ledgers)


def unplayed(row: Scenario, error: Exception) -> Outcome:
    """Return the outcome of a scenario that could not be played to its end: nothing is known, so nothing held."""
    verdict = Verdict(broken=[f"not played to its end: {type(error).__name__}: {error}"])
    return Outcome(row.name, row.matrix, verdict, refused=0, recover_s=0.0, seconds=0.0)

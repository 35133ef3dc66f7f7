"""The router as composed in production, but for its servers: journal, bus and objects in memory.

The providers are the simulators, served over HTTP on loopback; the scorer is played by the test.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from services.router.app.router import Limits, Router
from services.router.bus import table
from services.router.clients.media import TaskMedia
from services.router.clients.wire import Wire
from services.router.domain.catalogue import Catalogue, Offering, Template
from services.router.domain.decide import DECIDER
from services.router.domain.run import Run
from services.router.store.journal import RunJournal
from tests.contract.router.builders import adapter, offering_of
from tests.contract.router.fakes import CountingMeter, RouterFakes
from tests.contract.router.servers import Simulator
from tests.unit.router.builders import accepted, scored_candidate, scores_of, template
from winnow.adapters.partitions import Source
from winnow.contracts.envelope import Envelope, Message, RecordedMessage
from winnow.contracts.events import TaskAccepted, TaskCancelRequested, TaskFunded
from winnow.contracts.ids import Prefix, derive_id, shard_of
from winnow.contracts.topics import MESSAGES
from winnow.contracts.values import StoredObject
from winnow.eventstore import Journal
from winnow.runtime.clock import SystemClock

SHARDS = 4
Verdict = Callable[[str, int], bool]
"""(candidate id, how many were scored before) → passed."""


class RouterApp:
    """A task line with the router in the middle; the test plays ingest, ledger and scorer."""

    def __init__(self, fakes: RouterFakes, journal: Journal[Run], router: Router) -> None:
        self.objects = fakes.objects
        self.journal = journal
        self.router = router
        self.bus = fakes.bus
        self.meter = CountingMeter()
        self.verdict: Verdict = lambda _candidate, _count: True
        self._fakes = fakes
        self._read = 0
        self._scored = 0

    async def order(self, number: int = 1, *, fund: bool = True, **changes: Any) -> TaskAccepted:
        """Accept (and fund) a task."""
        body = json.dumps({"prompt": "a studio headshot portrait", "inputs": [], "parameters": {}}).encode()
        request = StoredObject(
            bucket="private",
            key=f"requests/{number}.json",
            sha256=hashlib.sha256(body).hexdigest(),
            size_bytes=len(body),
            content_type="application/json",
        )
        await self.objects.put("private", request.key, body, "application/json")
        now = SystemClock().now()
        fields = {"request": request, "deadline_at": now + timedelta(seconds=25)} | changes
        event = accepted(number, **fields)
        await self.publish("ingest", event)
        if fund:
            await self.fund(event)
        return event

    async def fund(self, order: TaskAccepted) -> None:
        await self.publish(
            "ledger",
            TaskFunded(
                task_id=order.task_id,
                account_id=order.account_id,
                reservation_id=order.reservation_id,
                reserved_credits_micro=order.reserve_credits_micro,
            ),
        )

    async def cancel(self, order: TaskAccepted) -> None:
        await self.publish("ingest", TaskCancelRequested(task_id=order.task_id, account_id=order.account_id))

    async def publish(self, producer: str, message: Any) -> None:
        """Put an event of another service on the task topic."""
        fakes = self._fakes
        fakes.serial += 1
        envelope = Envelope(
            event_id=derive_id(Prefix.event, producer, fakes.serial),
            occurred_at=SystemClock().now(),
            producer=producer,
            subject=message.task_id,
            sequence=1,
            correlation_id="req",
            causation_id="test",
        )
        shard = shard_of(message.task_id, SHARDS)
        offset = fakes.offsets.get(shard, 0)
        fakes.offsets[shard] = offset + 1
        input_ = table(self.router)[message.type](RecordedMessage(envelope, message), "")
        consumed = await self.journal.consume(str(shard), Source("tasks", shard), [(offset, input_)])
        assert consumed.failed is None

    def messages(self, kind: str | None = None) -> list[Message]:
        """Return what the router published, in order."""
        documents = [json.loads(body) for _, _, _, body in self.bus.messages]
        return [
            MESSAGES[document["type"]].model_validate(document)
            for document in documents
            if kind is None or document["type"] == kind
        ]

    def kinds(self) -> list[str]:
        return [message.type for message in self.messages()]

    async def score_new(self) -> None:
        """Play the scorer for what was sent since the last call."""
        fresh = self.bus.messages[self._read :]
        self._read = len(self.bus.messages)
        for _, _, _, body in fresh:
            document = json.loads(body)
            if document["type"] != "ScoreCandidates":
                continue
            verdicts = []
            for candidate in document["candidates"]:
                passed = self.verdict(candidate["candidate_id"], self._scored)
                spread = hashlib.sha256(candidate["candidate_id"].encode()).hexdigest()[:16]
                verdicts.append(
                    scored_candidate(
                        candidate["candidate_id"], passed=passed, score=50.0, perceptual_hash=spread
                    )
                )
                self._scored += 1
            await self.publish(
                "scorer",
                scores_of(document, verdicts),
            )

    async def until(self, *kinds: str, within_s: float = 20.0) -> Message:
        """Play on until one of these messages is published."""
        async with asyncio.timeout(within_s):
            while True:
                await self.score_new()
                for message in self.messages():
                    if message.type in kinds:
                        return message
                await asyncio.sleep(0.01)

    async def until_true(self, condition: Callable[[], bool], within_s: float = 20.0) -> None:
        async with asyncio.timeout(within_s):
            while not condition():
                await self.score_new()
                await asyncio.sleep(0.01)


@asynccontextmanager
async def running_router(
    simulators: dict[str, Simulator],
    *offerings: Offering,
    fakes: RouterFakes | None = None,
    recipe: Template | None = None,
    epoch: str = "one",
    attempts_max: int = 16,
) -> AsyncIterator[RouterApp]:
    fakes = fakes or RouterFakes()
    clock = SystemClock()
    wire = Wire(clock)
    found = offerings or tuple(offering_of(name) for name in simulators)
    recipe = recipe or template()
    catalogue = Catalogue({o.name: o for o in found}, {(recipe.name, recipe.version): recipe})
    record = RunJournal()
    meter = CountingMeter()
    router = Router(
        catalogue,
        {name: adapter(name, wire, provider.base_url) for name, provider in simulators.items()},
        TaskMedia(fakes.objects, "private"),
        record,
        clock,
        meter,
        Limits(shards=SHARDS, attempts_max=attempts_max, epoch=epoch),
    )
    journal: Journal[Run] = Journal(DECIDER, fakes.store, fakes.bus, clock, shards=SHARDS, listener=router)
    record.bind(journal, router)
    running = [asyncio.create_task(journal.run()), asyncio.create_task(router.run())]
    journal.assign(str(n) for n in range(SHARDS))
    built = RouterApp(fakes, journal, router)
    built.meter = meter
    try:
        yield built
        assert not meter.crashes
        for task in running:
            assert not task.done(), task
    finally:
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        await wire.close()

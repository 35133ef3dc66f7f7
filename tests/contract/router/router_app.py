"""The router as composed in production, but for its servers: journal, bus and objects in memory.

The providers are the simulators, served over HTTP on loopback; the scorer is played by the test.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import httpx
import uvicorn

from services.router.app.router import Limits, Router
from services.router.bus import table
from services.router.clients.fal import Fal
from services.router.clients.media import TaskMedia
from services.router.clients.openai_images import OpenAIImages
from services.router.clients.replicate import Replicate
from services.router.clients.wire import Wire
from services.router.domain.catalogue import CallLimits, Catalogue, Offering, Price, Template, Traits
from services.router.domain.decide import DECIDER
from services.router.domain.run import Run
from services.router.store.journal import RunJournal
from simulators.main import build
from simulators.provider_profile import load_profile
from tests.support.eventually import eventually
from tests.support.memory_journal import MemoryBus, MemoryJournalStore
from tests.support.renderer import shared_renderer
from tests.unit.router.builders import accepted, scored_candidate, template
from winnow.adapters.partitions import Source
from winnow.contracts.envelope import Envelope, Message, RecordedMessage
from winnow.contracts.errors import NotFound
from winnow.contracts.events import (
    AttemptFinished,
    CandidatesScored,
    TaskAccepted,
    TaskCancelRequested,
    TaskFunded,
)
from winnow.contracts.ids import Prefix, derive_id, shard_of
from winnow.contracts.topics import MESSAGES
from winnow.contracts.values import StoredObject
from winnow.eventstore import Journal
from winnow.runtime.clock import SystemClock

SHARDS = 4


@dataclass
class MemoryObjects:
    files: dict[tuple[str, str], bytes] = field(default_factory=dict)

    async def get(self, bucket: str, key: str, max_bytes: int) -> bytes:
        if (bucket, key) not in self.files:
            raise NotFound("the object does not exist")
        return self.files[bucket, key]

    async def put(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        self.files[bucket, key] = body


class CountingMeter:
    def __init__(self) -> None:
        self.finished: list[AttemptFinished] = []
        self.crashes: list[Exception] = []

    def attempt_finished(self, event: AttemptFinished) -> None:
        self.finished.append(event)

    def attempt_crashed(self, attempt_id: str, error: Exception) -> None:
        self.crashes.append(error)


@dataclass
class Simulator:
    base_url: str

    async def control(self, **controls: object) -> None:
        async with httpx.AsyncClient(trust_env=False) as client:
            reply = await client.post(f"{self.base_url}/_control", json=controls)
            assert reply.status_code == 200, reply.text

    async def ledger(self) -> dict[str, Any]:
        async with httpx.AsyncClient(trust_env=False) as client:
            reply = await client.get(f"{self.base_url}/_ledger")
            document: dict[str, Any] = reply.json()
            return document


@asynccontextmanager
async def simulator(provider: str, *, seed: int = 1) -> AsyncIterator[Simulator]:
    renderer = await asyncio.to_thread(shared_renderer)
    app = build(load_profile(f"flawless-{provider}"), seed=seed, renderer=renderer)
    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="error", access_log=False, timeout_graceful_shutdown=1)
    )
    server.capture_signals = _no_signals  # type: ignore[method-assign]
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    await eventually(lambda: _is(server), within_s=10)
    try:
        yield Simulator(f"http://127.0.0.1:{port}")
    finally:
        server.should_exit = True
        await serving
        listening.close()


async def _is(server: uvicorn.Server) -> bool:
    return server.started


def _no_signals() -> Any:
    return contextlib.nullcontext()


def offering_of(provider: str, price_usd_micro: int = 3000, **changes: Any) -> Offering:
    traits = {
        "fal": Traits(cancel=True, server_error_billed=False),
        "replicate": Traits(cancel=True),
        "openai": Traits(),
    }
    models = {
        "fal": "fal-ai/flux/schnell",
        "replicate": "black-forest-labs/flux-dev",
        "openai": "gpt-image-1",
    }
    fields: dict[str, Any] = {
        "name": provider,
        "provider": provider,
        "model": models[provider],
        "capabilities": ("image.headshot",),
        "prices": (Price(price_usd_micro, date(2026, 1, 1)),),
        "max_n": 4,
        "concurrency_limit": 4,
        "pass_prior_ppm": {"t": 600_000},
        "traits": traits[provider],
        "parameters": {"output_format": "jpeg"},
        "limits": CallLimits(read_timeout_s=10, total_timeout_s=15, poll_interval_s=0.05),
        "output_token_price_usd_micro": 40 if provider == "openai" else 0,
    }
    return Offering(**(fields | changes))


def adapter(provider: str, wire: Wire, base_url: str) -> Any:
    match provider:
        case "fal":
            return Fal(wire, base_url, "dummy")
        case "replicate":
            return Replicate(wire, base_url, "dummy")
        case _:
            return OpenAIImages(wire, f"{base_url}/v1", "dummy")


Verdict = Callable[[str, int], bool]
"""(candidate id, how many were scored before) → passed."""


class RouterApp:
    """A task line with the router in the middle; the test plays ingest, ledger and scorer."""

    def __init__(self, world: RouterWorld, journal: Journal[Run], router: Router) -> None:
        self.objects = world.objects
        self.journal = journal
        self.router = router
        self.bus = world.bus
        self.meter = CountingMeter()
        self.verdict: Verdict = lambda _candidate, _count: True
        self._world = world
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
        world = self._world
        world.serial += 1
        envelope = Envelope(
            event_id=derive_id(Prefix.event, producer, world.serial),
            occurred_at=SystemClock().now(),
            producer=producer,
            subject=message.task_id,
            sequence=1,
            correlation_id="req",
            causation_id="test",
        )
        shard = shard_of(message.task_id, SHARDS)
        offset = world.offsets.get(shard, 0)
        world.offsets[shard] = offset + 1
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
                CandidatesScored(
                    task_id=document["task_id"],
                    account_id=document["account_id"],
                    chunk_id=document["chunk_id"],
                    round_index=document["round_index"],
                    profile=document["profile"],
                    profile_sha256="a" * 64,
                    scorer_version="test",
                    models={},
                    candidates=verdicts,
                ),
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


@dataclass
class RouterWorld:
    """World that outlives a line: two lines on one world play two owners."""

    store: MemoryJournalStore = field(default_factory=MemoryJournalStore)
    bus: MemoryBus = field(default_factory=MemoryBus)
    objects: MemoryObjects = field(default_factory=MemoryObjects)
    offsets: dict[int, int] = field(default_factory=dict)
    serial: int = 0


@asynccontextmanager
async def line(
    simulators: dict[str, Simulator],
    *offerings: Offering,
    world: RouterWorld | None = None,
    recipe: Template | None = None,
    epoch: str = "one",
    attempts_max: int = 16,
) -> AsyncIterator[RouterApp]:
    world = world or RouterWorld()
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
        TaskMedia(world.objects, "private"),
        record,
        clock,
        meter,
        Limits(shards=SHARDS, attempts_max=attempts_max, epoch=epoch),
    )
    journal: Journal[Run] = Journal(DECIDER, world.store, world.bus, clock, shards=SHARDS, listener=router)
    record.bind(journal)
    running = [asyncio.create_task(journal.run()), asyncio.create_task(router.run())]
    journal.assign(str(n) for n in range(SHARDS))
    built = RouterApp(world, journal, router)
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

"""Routers as processes of their own, and the services that they talk to."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from tests.support.eventually import eventually
from tests.unit.router.builders import accepted, scored_candidate, scores_of
from winnow.adapters.object_store import ObjectStore
from winnow.contracts.envelope import CONTENT_TYPE, Envelope, RecordedMessage
from winnow.contracts.events import TaskAccepted, TaskCancelRequested, TaskFunded
from winnow.contracts.ids import Prefix, derive_id, shard_of
from winnow.contracts.topics import SCORER_COMMAND_TOPIC, TASKS
from winnow.contracts.values import Mode, StoredObject, TemplateRef
from winnow.local.stack import Addresses
from winnow.runtime.clock import SystemClock

SHARDS = 4
BUCKET = "winnow-private"
DATABASE = "winnow_router_integration"


@dataclass
class Processes:
    """The router and a simulated fal, as processes."""

    addresses: Addresses
    log: Path
    ports: dict[str, int] = field(default_factory=dict)
    router: subprocess.Popen[bytes] | None = None
    simulator: subprocess.Popen[bytes] | None = None

    @property
    def fal_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['fal']}"

    def start_simulator(self) -> None:
        arguments = ["--provider", "fal", "--profile", "flawless-fal", "--port", str(self.ports["fal"])]
        self.simulator = subprocess.Popen([sys.executable, "-m", "simulators.main", *arguments])

    def start_router(self) -> None:
        settings = {
            "KAFKA_BOOTSTRAP": self.addresses.kafka_bootstrap,
            **self.addresses.bus_settings,
            "SHARDS": str(SHARDS),
            "MONGO_URI": self.addresses.mongo_uri,
            "MONGO_DATABASE": DATABASE,
            "S3_ENDPOINT": self.addresses.s3_endpoint,
            "S3_ACCESS_KEY": self.addresses.s3_access_key,
            "S3_SECRET_KEY": self.addresses.s3_secret_key,
            "OPS_PORT": str(self.ports["ops"]),
            "GRPC_PORT": str(self.ports["grpc"]),
            "FAL_BASE_URL": self.fal_url,
            "FAL_KEY": "simulated",
        }
        env = os.environ | {f"WINNOW_ROUTER_{name}": value for name, value in settings.items()}
        with self.log.open("ab") as stderr:
            self.router = subprocess.Popen(
                [sys.executable, "-m", "services.router.main"], env=env, stdout=stderr, stderr=stderr
            )

    async def wait_ready(self) -> None:
        async with httpx.AsyncClient(timeout=2.0) as client:

            async def is_ready() -> bool:
                if self.router is None or self.router.poll() is not None:
                    raise RuntimeError(self.log.read_text())
                try:
                    answers = [
                        await client.get(f"http://127.0.0.1:{self.ports['ops']}/readyz"),
                        await client.get(f"{self.fal_url}/readyz"),
                    ]
                except httpx.TransportError:
                    return False
                return all(answer.status_code == 200 for answer in answers)

            await eventually(is_ready, within_s=150)

    async def control(self, **controls: Any) -> None:
        async with httpx.AsyncClient() as client:
            answer = await client.post(f"{self.fal_url}/_control", json=controls)
            assert answer.status_code == 200, answer.text

    async def submitted_lines(self) -> list[dict[str, Any]]:
        async with httpx.AsyncClient() as client:
            document = (await client.get(f"{self.fal_url}/_ledger")).json()
        assert document["billed_twice"] == []
        lines: list[dict[str, Any]] = document["lines"]
        return lines

    def kill(self) -> None:
        assert self.router is not None
        self.router.kill()
        self.router.wait(timeout=20)


class Others:
    """Plays the other services over the bus."""

    def __init__(self, producer: AIOKafkaProducer, consumer: AIOKafkaConsumer, objects: ObjectStore) -> None:
        self._producer = producer
        self._consumer = consumer
        self._objects = objects
        self.seen: list[dict[str, Any]] = []
        self.passes = True

    async def order(self, number: int, **changes: Any) -> TaskAccepted:
        body = json.dumps({"prompt": "a studio headshot", "inputs": [], "parameters": {}}).encode()
        request = StoredObject(
            bucket=BUCKET,
            key=f"requests/it-{number}.json",
            sha256=hashlib.sha256(body).hexdigest(),
            size_bytes=len(body),
            content_type="application/json",
        )
        await self._objects.put(BUCKET, request.key, body, "application/json")
        fields: dict[str, Any] = {
            "request": request,
            "template": TemplateRef(name="studio_headshot", version=1),
            "mode": Mode.low_cost,
            "deadline_at": SystemClock().now() + timedelta(seconds=90),
            "k": 2,
        }
        event = accepted(number, **(fields | changes))
        await self.send("ingest", event)
        await self.send(
            "ledger",
            TaskFunded(
                task_id=event.task_id,
                account_id=event.account_id,
                reservation_id=event.reservation_id,
                reserved_credits_micro=event.reserve_credits_micro,
            ),
        )
        return event

    async def cancel(self, order: TaskAccepted) -> None:
        await self.send("ingest", TaskCancelRequested(task_id=order.task_id, account_id=order.account_id))

    async def send(self, producer: str, message: Any, cause: str = "it") -> None:
        envelope = Envelope(
            event_id=derive_id(Prefix.event, producer, message.type, message.task_id, cause),
            occurred_at=SystemClock().now(),
            producer=producer,
            subject=message.task_id,
            sequence=1,
            correlation_id="it",
            causation_id=cause,
        )
        await self._producer.send_and_wait(
            TASKS.name,
            RecordedMessage(envelope, message).encode(),
            key=message.task_id.encode(),
            partition=shard_of(message.task_id, SHARDS),
            headers=[("content-type", CONTENT_TYPE.encode()), ("type", message.type.encode())],
        )

    async def read(self) -> None:
        """Take what was published, and score what is to be scored."""
        batches = await self._consumer.getmany(timeout_ms=200)
        for record in (consumed for batch in batches.values() for consumed in batch):
            document = json.loads(record.value)
            if record.topic == SCORER_COMMAND_TOPIC.name:
                await self._score(document)
            elif document["producer"] == "router":
                self.seen.append(document)

    async def _score(self, chunk: dict[str, Any]) -> None:
        verdicts = [
            scored_candidate(
                candidate["candidate_id"],
                passed=self.passes,
                perceptual_hash=hashlib.sha256(candidate["candidate_id"].encode()).hexdigest()[:16],
            )
            for candidate in chunk["candidates"]
        ]
        event = scores_of(chunk, verdicts)
        await self.send("scorer", event, chunk["chunk_id"])

    def of(self, task_id: str, *kinds: str) -> list[dict[str, Any]]:
        found = [event for event in self.seen if event["task_id"] == task_id]
        return [event for event in found if not kinds or event["type"] in kinds]

    async def until(self, task_id: str, *kinds: str, within_s: float = 60) -> dict[str, Any]:
        async def found() -> dict[str, Any] | None:
            await self.read()
            matching = self.of(task_id, *kinds)
            return matching[0] if matching else None

        event: dict[str, Any] = await eventually(found, within_s=within_s)
        return event

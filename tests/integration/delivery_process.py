"""Delivery as a process of its own, and what orders of it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import httpx
import uvicorn
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from tests.support.ends import records_of
from tests.support.eventually import eventually
from tests.unit.delivery.builders import candidate_id, selection
from winnow.adapters.object_store import ObjectStore
from winnow.contracts.envelope import CONTENT_TYPE, Envelope, Message, RecordedMessage
from winnow.contracts.events import TaskSelected
from winnow.contracts.ids import Prefix, derive_id, shard_of
from winnow.contracts.topics import TASKS
from winnow.contracts.values import SelectedCandidate, StoredObject
from winnow.local.ports import choose
from winnow.local.stack import Addresses

SHARDS = 4
TIMEOUT_S = 15.0
_NUMBERS = count()


class Quiet(uvicorn.Server):
    def install_signal_handlers(self) -> None:
        """Leave signals to pytest."""


@dataclass
class DeliveryService:
    """The service under test, and the hands to work it with."""

    addresses: Addresses
    receiver: str
    folder: Path
    objects: ObjectStore
    http: httpx.AsyncClient
    ports: dict[str, int] = field(default_factory=lambda: choose(["ops", "grpc"], {}))
    process: subprocess.Popen[bytes] | None = None
    s3_endpoint: str = ""
    """Endpoint of the object store for the service; empty for the server itself."""
    extra: dict[str, str] = field(default_factory=dict)
    begun_at: datetime = field(default_factory=lambda: datetime.now(UTC))
    """Time of all that is published, so that what is published twice is the same twice."""

    @property
    def log(self) -> Path:
        return self.folder / "delivery.log"

    async def start(self) -> None:
        settings = {
            "KAFKA_BOOTSTRAP": self.addresses.kafka_bootstrap,
            **self.addresses.bus_settings,
            "SHARDS": str(SHARDS),
            "MONGO_URI": self.addresses.mongo_uri,
            "MONGO_DATABASE": f"test_delivery_{os.getpid()}",
            "S3_ENDPOINT": self.s3_endpoint or self.addresses.s3_endpoint,
            "S3_ACCESS_KEY": self.addresses.s3_access_key,
            "S3_SECRET_KEY": self.addresses.s3_secret_key,
            "OPS_PORT": str(self.ports["ops"]),
            "GRPC_PORT": str(self.ports["grpc"]),
            "SECRET_KEY": "a secret of the tests, thirty-two long",
            "WEBHOOK_SCHEDULE_S": "[0, 1, 1]",
            "WEBHOOK_ALLOWED_HOSTS": json.dumps([self.receiver]),
            "WEBHOOK_TIMEOUT_S": "2",
            **self.extra,
        }
        env = os.environ | {f"WINNOW_DELIVERY_{name}": value for name, value in settings.items()}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "services.delivery.main"], env=env, stdout=log, stderr=log
            )

        async def is_ready() -> bool:
            if self.process is None or self.process.poll() is not None:
                raise RuntimeError(self.log.read_text())
            try:
                answer = await self.http.get(f"http://127.0.0.1:{self.ports['ops']}/readyz")
            except httpx.TransportError:
                return False
            return answer.status_code == 200

        await eventually(is_ready, within_s=150)

    async def stop(self, number: int = signal.SIGTERM) -> int:
        if self.process is None:
            return 0
        self.process.send_signal(number)
        return await asyncio.to_thread(self.process.wait, 40)

    async def order(self, name: str, *contents: bytes) -> TaskSelected:
        """Store candidates and return the selection of them."""
        chosen = []
        for index, content in enumerate(contents):
            digest = hashlib.sha256(content).hexdigest()
            stored = StoredObject(
                bucket="winnow-private",
                key=f"candidates/test/{digest}",
                sha256=digest,
                size_bytes=len(content),
                content_type="image/jpeg",
            )
            await self.objects.put(stored.bucket, stored.key, content, stored.content_type)
            chosen.append(
                SelectedCandidate(
                    candidate_id=candidate_id(index, name), rank=index + 1, score=90.0, stored=stored
                )
            )
        return selection(len(chosen), chosen, task=name)

    async def publish(self, *messages: Message) -> None:
        producer = AIOKafkaProducer(bootstrap_servers=self.addresses.kafka_bootstrap, acks="all")
        await producer.start()
        try:
            for message in messages:
                subject = str(getattr(message, "task_id", ""))
                envelope = Envelope(
                    event_id=derive_id(Prefix.event, "test", message.type, subject),
                    occurred_at=self.begun_at,
                    producer="router",
                    subject=subject,
                    sequence=1,
                    correlation_id="request-1",
                    causation_id="cause-1",
                )
                await producer.send_and_wait(
                    TASKS.name,
                    RecordedMessage(envelope, message).encode(),
                    key=subject.encode(),
                    partition=shard_of(subject, SHARDS),
                    headers=[("type", message.type.encode()), ("content-type", CONTENT_TYPE.encode())],
                )
        finally:
            await producer.stop()

    async def published(self, topic: str, task: str) -> list[dict]:
        """Read everything on a topic about a task, but for what the test itself has sent."""
        lanes = [TopicPartition(topic, index) for index in range(SHARDS)]
        async with AIOKafkaConsumer(
            bootstrap_servers=self.addresses.kafka_bootstrap, fetch_max_wait_ms=5
        ) as consumer:
            every = [json.loads(record.value) async for record in records_of(consumer, lanes)]
        return [event for event in every if event.get("task_id") == task and event["producer"] == "delivery"]

    async def until_published(self, topic: str, task: str) -> list[dict]:
        return await eventually(lambda: self.published(topic, task), within_s=180, every_s=0.3)

    async def control(self, **wanted: object) -> None:
        (await self.http.post(f"http://{self.receiver}/_control", json=wanted)).raise_for_status()

    async def received(self, task: str) -> list[dict]:
        every = (await self.http.get(f"http://{self.receiver}/_deliveries")).json()
        return [request for request in every if request["body"]["data"]["task_id"] == task]


def name() -> str:
    return f"integration-{next(_NUMBERS)}"

"""Delivery as a process of its own: real bus, database and object store, webhooks to the receiver simulator."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from urllib.parse import urlsplit

import grpc.aio
import httpx
import pytest
import uvicorn
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from PIL import Image

from simulators.receiver import build_receiver
from tests.chaos.proxy import Proxy, Weather
from tests.support.ends import records_of
from tests.support.eventually import eventually
from tests.support.refusals import code_of
from tests.support.tls import Authority, serving
from tests.unit.delivery.builders import ACCOUNT, PRICE, candidate_id, image_bytes, selection, task_id
from winnow.adapters.object_store import ObjectStore
from winnow.adapters.topics import apply_topics
from winnow.contracts.envelope import CONTENT_TYPE, Envelope, Message, RecordedMessage
from winnow.contracts.errors import ErrorCode
from winnow.contracts.events import TaskFailed, TaskSelected
from winnow.contracts.ids import Prefix, derive_id, shard_of
from winnow.contracts.topics import LEDGER_COMMAND_TOPIC, TASKS
from winnow.contracts.values import SelectedCandidate, StoredObject
from winnow.local.ports import choose
from winnow.local.stack import Addresses
from winnow.rpc.delivery.v1 import delivery_pb2 as pb
from winnow.rpc.delivery.v1 import delivery_pb2_grpc

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


@pytest.fixture
async def line(servers: Addresses, tmp_path: Path) -> AsyncIterator[DeliveryService]:
    await apply_topics(servers.kafka_bootstrap, shards=SHARDS, replicas=1)
    listener = socket.create_server(("127.0.0.1", 0))
    server = Quiet(uvicorn.Config(build_receiver(), log_level="error", lifespan="off", access_log=False))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    objects = ObjectStore(servers.s3_endpoint, "us-east-1", servers.s3_access_key, servers.s3_secret_key)
    async with httpx.AsyncClient(timeout=5.0, trust_env=False) as http:
        made = DeliveryService(servers, f"127.0.0.1:{listener.getsockname()[1]}", tmp_path, objects, http)
        try:
            await made.start()
            yield made
        finally:
            code = await made.stop()
            server.should_exit = True
            await serving
            listener.close()
            await objects.close()
        assert code == 0, made.log.read_text()


def name() -> str:
    return f"integration-{next(_NUMBERS)}"


def photograph() -> bytes:
    exif = Image.Exif()
    exif[0x010E] = "secret description"
    return image_bytes("JPEG", exif=exif, quality=95)


async def test_a_selection_is_delivered_charged_linked_and_told(line: DeliveryService) -> None:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{line.ports['grpc']}") as channel:
        stub = delivery_pb2_grpc.DeliveryServiceStub(channel)
        registered = await stub.RegisterEndpoint(
            pb.RegisterEndpointRequest(account_id=ACCOUNT, url=f"http://{line.receiver}/hook"),
            timeout=TIMEOUT_S,
        )
        await line.control(secrets=[registered.secret], fail_next=1, fail_status=503)
        task = name()
        await line.publish(await line.order(task, photograph(), image_bytes("PNG")))
        (end,) = await line.until_published(TASKS.name, task_id(task))
        (settle,) = await line.until_published(LEDGER_COMMAND_TOPIC.name, task_id(task))
        assert end["type"] == "task.delivered"
        assert (settle["type"], settle["amount_credits_micro"]) == ("SettleCredits", 2 * PRICE)

        links = (
            await stub.RenewLinks(
                pb.RenewLinksRequest(account_id=ACCOUNT, task_id=task_id(task)), timeout=TIMEOUT_S
            )
        ).links
        assert [link.output_id for link in links] == [output["output_id"] for output in end["outputs"]]
        for link, output in zip(links, end["outputs"], strict=True):
            for url, stored in ((link.url, output["stored"]), (link.thumbnail_url, output["thumbnail"])):
                answer = await line.http.get(url)
                assert answer.status_code == 200
                assert answer.headers["content-disposition"].startswith("attachment; filename=")
                assert answer.headers["content-type"] == stored["content_type"]
                assert hashlib.sha256(answer.content).hexdigest() == stored["sha256"]
                assert not Image.open(io.BytesIO(answer.content)).getexif()
                assert b"secret" not in answer.content
                assert ACCOUNT not in url
                assert task_id(task)[-12:] not in url
                unsigned = url.partition("?")[0]
                assert (await line.http.get(unsigned)).status_code in {401, 403}

        async def twice() -> list[dict]:
            got = await line.received(task_id(task))
            return got if len(got) == 2 else []

        first, second = await eventually(twice, within_s=20)
        assert (first["answered"], second["answered"]) == (503, 200)
        assert first["verified"]
        assert second["verified"]
        assert first["webhook_id"] == second["webhook_id"]
        assert second["body"]["type"] == "task.delivered"

        async def logged() -> pb.Delivery | None:
            request = pb.ListDeliveriesRequest(account_id=ACCOUNT, task_id=task_id(task))
            (delivery,) = (await stub.ListDeliveries(request, timeout=TIMEOUT_S)).deliveries
            return delivery if delivery.state == "delivered" else None

        delivery = await eventually(logged)
        assert [attempt.status for attempt in delivery.attempts] == [503, 200]
        await stub.Redeliver(
            pb.RedeliverRequest(account_id=ACCOUNT, delivery_id=delivery.delivery_id), timeout=TIMEOUT_S
        )

        async def thrice() -> bool:
            return len(await line.received(task_id(task))) == 3

        await eventually(thrice)
    text = line.log.read_text()
    assert registered.secret not in text
    assert "X-Amz-Signature" not in text


async def test_the_walls_between_accounts_hold_over_grpc(line: DeliveryService) -> None:
    task = name()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{line.ports['grpc']}") as channel:
        stub = delivery_pb2_grpc.DeliveryServiceStub(channel)
        registered = await stub.RegisterEndpoint(
            pb.RegisterEndpointRequest(account_id=ACCOUNT, url=f"http://{line.receiver}/hook"),
            timeout=TIMEOUT_S,
        )
        endpoint_id = registered.endpoint.endpoint_id
        await line.control(secrets=[registered.secret])
        await line.publish(await line.order(task, image_bytes()))
        await line.until_published(TASKS.name, task_id(task))

        async def sent() -> str:
            log = pb.ListDeliveriesRequest(account_id=ACCOUNT, task_id=task_id(task))
            found = (await stub.ListDeliveries(log, timeout=TIMEOUT_S)).deliveries
            mine = [delivery for delivery in found if delivery.endpoint_id == endpoint_id]
            return mine[0].delivery_id if mine else ""

        delivery_id = await eventually(sent, within_s=60)
        foreign = pb.ListDeliveriesRequest(account_id="acct_b", task_id=task_id(task))
        assert list((await stub.ListDeliveries(foreign, timeout=TIMEOUT_S)).deliveries) == []
        theirs = await stub.ListEndpoints(pb.ListEndpointsRequest(account_id="acct_b"), timeout=TIMEOUT_S)
        assert list(theirs.endpoints) == []
        for asked, request in (
            (stub.RenewLinks, pb.RenewLinksRequest(account_id="acct_b", task_id=task_id(task))),
            (stub.RenewLinks, pb.RenewLinksRequest(account_id=ACCOUNT, task_id=task_id("nobody's"))),
            (stub.Redeliver, pb.RedeliverRequest(account_id="acct_b", delivery_id=delivery_id)),
            (stub.Redeliver, pb.RedeliverRequest(account_id="acct_b", delivery_id="dlv_x")),
            (stub.DeleteEndpoint, pb.DeleteEndpointRequest(account_id="acct_b", endpoint_id=endpoint_id)),
            (stub.DeleteEndpoint, pb.DeleteEndpointRequest(account_id="acct_b", endpoint_id="whe_x")),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await asked(request, timeout=TIMEOUT_S)
            assert refused.value.code() is grpc.StatusCode.NOT_FOUND
            assert code_of(refused.value) == "not_found"
        mine = await stub.ListEndpoints(pb.ListEndpointsRequest(account_id=ACCOUNT), timeout=TIMEOUT_S)
        assert endpoint_id in {endpoint.endpoint_id for endpoint in mine.endpoints}
        await stub.DeleteEndpoint(
            pb.DeleteEndpointRequest(account_id=ACCOUNT, endpoint_id=endpoint_id), timeout=TIMEOUT_S
        )
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.RegisterEndpoint(
                pb.RegisterEndpointRequest(account_id=ACCOUNT, url="http://127.0.0.1:1/"), timeout=TIMEOUT_S
            )
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert code_of(refused.value) == "url_not_allowed"


async def test_killed_again_and_again_every_task_still_ends_once_with_one_charge(
    line: DeliveryService,
) -> None:
    names = [name() for _ in range(12)]
    orders = [await line.order(task, image_bytes(), image_bytes("PNG")) for task in names]
    failed = TaskFailed(
        task_id=task_id(name()),
        account_id=ACCOUNT,
        code=ErrorCode.not_enough_passed,
        stage="router",
        reason="rounds_exhausted",
    )
    for start in range(0, len(orders), 4):
        await line.publish(*orders[start : start + 4], failed)
        await line.stop(signal.SIGKILL)
        await line.start()
    for task in names:
        ends = await line.until_published(TASKS.name, task_id(task))
        charges = await line.until_published(LEDGER_COMMAND_TOPIC.name, task_id(task))
        assert {end["type"] for end in ends} == {"task.delivered"}
        assert len({end["event_id"] for end in ends}) == 1
        assert len({charge["command_id"] for charge in charges}) == 1
        assert {charge["amount_credits_micro"] for charge in charges} == {2 * PRICE}


async def test_a_store_that_never_answers_ends_the_task_before_deadline_and_slack(
    line: DeliveryService,
) -> None:
    """The order was selected at its deadline, and nothing of it can be read any more."""
    store = urlsplit(line.addresses.s3_endpoint)
    proxy = await Proxy(store.hostname or "", store.port or 0).start()
    try:
        await line.stop()
        line.s3_endpoint = f"http://127.0.0.1:{proxy.port}"
        await line.start()
        task = name()
        order = await line.order(task, image_bytes(), image_bytes("PNG"))
        proxy.set(Weather(swallows=True))
        deadline_at = datetime.now(UTC)
        await line.publish(order.model_copy(update={"deadline_at": deadline_at, "deadline_slack_s": 40}))
        (end,) = await line.until_published(TASKS.name, task_id(task))
        (release,) = await line.until_published(LEDGER_COMMAND_TOPIC.name, task_id(task))
        assert (end["type"], release["type"]) == ("task.failed", "ReleaseCredits")
        late = datetime.fromisoformat(end["occurred_at"]) - deadline_at
        assert late < timedelta(seconds=40)
    finally:
        proxy.set(Weather(refuses=True))
        await proxy.stop()


async def test_a_webhook_is_delivered_over_tls_and_a_bad_certificate_is_in_the_log(
    line: DeliveryService, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    async with (
        serving(authority.good("localhost")) as good,
        serving(authority.good("other.example.test")) as wrong,
    ):
        await line.stop()
        line.extra = {
            "WEBHOOK_CA_FILE": str(authority.ca_file),
            "WEBHOOK_ALLOWED_HOSTS": json.dumps([f"localhost:{receiver.port}" for receiver in (good, wrong)]),
            "WEBHOOK_TIMEOUT_S": "20",
        }
        await line.start()
        task = name()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{line.ports['grpc']}") as channel:
            stub = delivery_pb2_grpc.DeliveryServiceStub(channel)
            mine = set()
            for server in (good, wrong):
                url = server.url("/hook", "localhost")
                registered = await stub.RegisterEndpoint(
                    pb.RegisterEndpointRequest(account_id=ACCOUNT, url=url), timeout=TIMEOUT_S
                )
                mine.add(registered.endpoint.endpoint_id)
            await line.publish(await line.order(task, image_bytes()))

            async def both_ended() -> dict[str, list[str]] | None:
                request = pb.ListDeliveriesRequest(account_id=ACCOUNT, task_id=task_id(task))
                listed = (await stub.ListDeliveries(request, timeout=TIMEOUT_S)).deliveries
                # Endpoints of the tests before are still registered, and nobody listens there any more.
                ended = {
                    each.state: [made.reason for made in each.attempts]
                    for each in listed
                    if each.endpoint_id in mine
                }
                return ended if {"delivered", "exhausted"} <= set(ended) else None

            ended = await eventually(both_ended, within_s=120)
        assert ended["delivered"] == ["accepted"]
        assert ended["exhausted"] == ["certificate_wrong_host"] * 3
        assert good.names == ["localhost"]
        assert (len(good.requests), len(wrong.requests)) == (1, 0)

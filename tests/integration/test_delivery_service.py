"""Delivery as a process of its own: real bus, database and object store, webhooks to the receiver simulator."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import signal
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit

import grpc.aio
import httpx
import pytest
import pytest_asyncio
import uvicorn
from PIL import Image

from simulators.receiver import build_receiver
from tests.chaos.proxy import CLEAR, Proxy, Weather
from tests.integration.delivery_process import SHARDS, TIMEOUT_S, DeliveryService, Quiet, name
from tests.support.eventually import eventually
from tests.support.refusals import code_of
from tests.support.servers.tls import Authority, TlsServer, serving
from tests.unit.delivery.builders import ACCOUNT, PRICE, image_bytes, task_id
from winnow.adapters.object_store import ObjectStore
from winnow.adapters.topics import apply_topics
from winnow.contracts.errors import ErrorCode
from winnow.contracts.events import TaskFailed
from winnow.contracts.topics import LEDGER_COMMAND_TOPIC, TASKS
from winnow.local.stack import Addresses
from winnow.rpc.delivery.v1 import delivery_pb2 as pb
from winnow.rpc.delivery.v1 import delivery_pb2_grpc

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclass
class Outside:
    """Surroundings of the service: the way to the object store, and two receivers that speak TLS."""

    store: Proxy
    good: TlsServer
    wrong: TlsServer
    settings: dict[str, str]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def outside(servers: Addresses, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Outside]:
    authority = Authority(tmp_path_factory.mktemp("authority"))
    url = urlsplit(servers.s3_endpoint)
    store = await Proxy(url.hostname or "", url.port or 0).start()
    async with (
        serving(authority.good("localhost")) as good,
        serving(authority.good("other.example.test")) as wrong,
    ):
        settings = {"WEBHOOK_CA_FILE": str(authority.ca_file), "WEBHOOK_TIMEOUT_S": "20"}
        yield Outside(store, good, wrong, settings)
    await store.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def line(
    servers: Addresses, outside: Outside, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[DeliveryService]:
    """Run a service for all tests of a bus; it reaches the object store through a proxy."""
    await apply_topics(servers.kafka_bootstrap, shards=SHARDS, replicas=1)
    listener = socket.create_server(("127.0.0.1", 0))
    server = Quiet(uvicorn.Config(build_receiver(), log_level="error", lifespan="off", access_log=False))
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    objects = ObjectStore(servers.s3_endpoint, "us-east-1", servers.s3_access_key, servers.s3_secret_key)
    async with httpx.AsyncClient(timeout=5.0, trust_env=False) as http:
        receiver = f"127.0.0.1:{listener.getsockname()[1]}"
        tls = [f"localhost:{each.port}" for each in (outside.good, outside.wrong)]
        made = DeliveryService(servers, receiver, tmp_path_factory.mktemp("delivery"), objects, http)
        made.s3_endpoint = f"http://127.0.0.1:{outside.store.port}"
        made.extra = outside.settings | {"WEBHOOK_ALLOWED_HOSTS": json.dumps([receiver, *tls])}
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


@pytest.mark.one_bus
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


@pytest.mark.one_bus
async def test_a_webhook_is_delivered_over_tls_and_a_bad_certificate_is_in_the_log(
    line: DeliveryService, outside: Outside
) -> None:
    good, wrong = outside.good, outside.wrong
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


@pytest.mark.one_bus
async def test_a_store_that_never_answers_ends_the_task_before_deadline_and_slack(
    line: DeliveryService, outside: Outside
) -> None:
    """The order was selected at its deadline, and nothing of it can be read any more."""
    try:
        task = name()
        order = await line.order(task, image_bytes(), image_bytes("PNG"))
        outside.store.set(Weather(swallows=True))
        deadline_at = datetime.now(UTC)
        await line.publish(order.model_copy(update={"deadline_at": deadline_at, "deadline_slack_s": 40}))
        (end,) = await line.until_published(TASKS.name, task_id(task))
        (release,) = await line.until_published(LEDGER_COMMAND_TOPIC.name, task_id(task))
        assert (end["type"], release["type"]) == ("task.failed", "ReleaseCredits")
        late = datetime.fromisoformat(end["occurred_at"]) - deadline_at
        assert late < timedelta(seconds=40)
    finally:
        outside.store.set(Weather(refuses=True))
        outside.store.set(CLEAR)

"""Ingest as processes of its own on real servers: the public API, crashes, and two instances at once."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.integration.ingest_neighbours import CREDIT, SHARDS, Neighbours, neighbours
from tests.support.eventually import eventually
from tests.support.raw_http import HALF_BODY, HALF_HEADER, ended
from tests.support.stack import running_stack
from tests.support.tls import Authority, answering, serving
from winnow.adapters.topics import apply_topics
from winnow.local.ports import choose
from winnow.local.stack import Addresses
from winnow.runtime.clock import random_bytes

pytestmark = pytest.mark.timeout(500)
ADMIN = {"Authorization": "Bearer an-admin-token-for-tests"}
BODY = {"template": "studio_headshot", "mode": "low_cost", "k": 2, "prompt": "a friendly engineer"}
PNG = b"\x89PNG\r\n\x1a\n" + b"rest of a picture"


@pytest.fixture
def addresses(bus: str) -> Iterator[Addresses]:
    # Servers of its own for each test: another ingest in the same consumer group would take partitions away, and
    # what a killed instance leaves behind in bus and database kept later ones from starting on a busy machine.
    with running_stack(bus) as stack:
        asyncio.run(apply_topics(stack.addresses.kafka_bootstrap, shards=SHARDS, replicas=1))
        yield stack.addresses


@dataclass
class Instance:
    """One process of ingest."""

    name: str
    env: dict[str, str]
    http_port: int
    ops_port: int
    log: Path
    process: subprocess.Popen[bytes] | None = None
    url: str = field(init=False)

    def __post_init__(self) -> None:
        self.url = f"http://127.0.0.1:{self.http_port}"

    def start(self) -> Instance:
        with self.log.open("ab") as output:
            command = [sys.executable, "-m", "services.ingest.main"]
            self.process = subprocess.Popen(command, env=self.env, stdout=output, stderr=output)
        return self

    async def ready(self) -> Instance:
        async def answers() -> bool:
            assert self.process is not None
            if self.process.poll() is not None:
                pytest.fail(self.log.read_text())
            try:
                async with httpx.AsyncClient(timeout=2.0) as client:
                    return (await client.get(f"http://127.0.0.1:{self.ops_port}/readyz")).status_code == 200
            except httpx.TransportError:
                return False

        await eventually(answers, within_s=150)
        return self

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            assert self.process.wait(timeout=40) == 0, self.log.read_text()


@dataclass
class Place:
    """A fresh database, the neighbours, and the instances started on it."""

    addresses: Addresses
    others: Neighbours
    grpc_port: int
    folder: Path
    database: str
    instances: list[Instance] = field(default_factory=list)

    def instance(self, name: str, **changes: str) -> Instance:
        ports = choose(["http", "ops", "grpc"], {})
        settings = {
            "KAFKA_BOOTSTRAP": self.addresses.kafka_bootstrap,
            **self.addresses.bus_settings,
            "SHARDS": str(SHARDS),
            "MONGO_URI": self.addresses.mongo_uri,
            "MONGO_DATABASE": self.database,
            "S3_ENDPOINT": self.addresses.s3_endpoint,
            "S3_ACCESS_KEY": self.addresses.s3_access_key,
            "S3_SECRET_KEY": self.addresses.s3_secret_key,
            "HTTP_PORT": str(ports["http"]),
            "OPS_PORT": str(ports["ops"]),
            "KEY_PEPPER": "a pepper for the tests",
            "ADMIN_TOKEN": "an-admin-token-for-tests",
            "INSTANCE": name,
            **changes,
            **{
                f"{service}_ADDRESS": f"127.0.0.1:{self.grpc_port}"
                for service in ("LEDGER", "ROUTER", "SCORER", "DELIVERY")
            },
        }
        env = os.environ | {f"WINNOW_INGEST_{key}": value for key, value in settings.items()}
        made = Instance(name, env, ports["http"], ports["ops"], self.folder / f"{name}.log")
        self.instances.append(made)
        return made


@pytest.fixture
async def place(addresses: Addresses, tmp_path: Path) -> AsyncIterator[Place]:
    port = choose(["grpc"], {})["grpc"]
    async with neighbours(addresses.kafka_bootstrap, port) as others:
        made = Place(addresses, others, port, tmp_path, f"winnow_ingest_{random_bytes(4).hex()}")
        try:
            yield made
        finally:
            for instance in made.instances:
                instance.stop()


async def key_of(client: httpx.AsyncClient, account_id: str) -> dict[str, str]:
    scopes = ["tasks:write", "tasks:read", "account:read", "webhooks:write"]
    answer = await client.post(
        "/v1/admin/keys", json={"account_id": account_id, "scopes": scopes}, headers=ADMIN
    )
    assert answer.status_code == 201, answer.text
    return {"Authorization": f"Bearer {answer.json()['key']}"}


def account() -> str:
    return f"acct_{random_bytes(4).hex()}"


async def test_an_order_is_taken_followed_and_billed(place: Place) -> None:
    instance = await place.instance("one").start().ready()
    mine = account()
    async with httpx.AsyncClient(base_url=instance.url, timeout=30) as client:
        headers = await key_of(client, mine)
        grant = await client.post(
            f"/v1/admin/accounts/{mine}/grants",
            json={"amount_credits_micro": 5 * CREDIT, "source": "topup"},
            headers=ADMIN | {"Idempotency-Key": "grant-1"},
        )
        assert grant.json()["applied"] is True, grant.text
        uploaded = await client.post("/v1/inputs", files={"file": PNG}, headers=headers)
        assert uploaded.status_code == 201, uploaded.text
        order = BODY | {"inputs": [uploaded.json()["input_id"]]}
        made = await client.post("/v1/tasks", json=order, headers=headers | {"Idempotency-Key": "a"})
        again = await client.post("/v1/tasks", json=order, headers=headers | {"Idempotency-Key": "a"})
        assert (made.status_code, made.content) == (202, again.content)
        assert again.headers["idempotent-replayed"] == "true"
        task_id = made.json()["id"]
        path = f"/v1/tasks/{task_id}"
        following = asyncio.create_task(client.get(f"{path}/events", headers=headers))
        await eventually(lambda: "task.funded" in place.others.types_of(task_id))
        await place.others.deliver(task_id, mine)
        stream = await following
        types = [line[7:] for line in stream.text.splitlines() if line.startswith("event: ")]
        assert types == place.others.types_of(task_id)
        assert (types[0], types[-1]) == ("task.accepted", "task.settled")
        task = (await client.get(path, headers=headers)).json()
        assert (task["state"], task["complete"]) == ("delivered", True)
        outputs = (await client.get(f"{path}/outputs", headers=headers)).json()["outputs"]
        assert outputs[0]["url"] == "http://x"
        bill = (await client.get(f"{path}/bill", headers=headers)).json()
        assert bill["charged_credits_micro"] == 2 * CREDIT
        assert (await client.get(path, headers=await key_of(client, account()))).status_code == 404
        entries = (await client.get("/v1/account/entries", headers=headers)).json()["entries"]
        assert [entry["kind"] for entry in entries] == ["grant"]
        hook = await client.post("/v1/webhook-endpoints", json={"url": "https://10.0.0.1/"}, headers=headers)
        assert (hook.status_code, hook.json()["code"]) == (422, "url_not_allowed")
        gone = await client.delete("/v1/webhook-endpoints/whe_x", headers=headers)
        assert (gone.status_code, gone.json()["code"]) == (404, "not_found")
        poor = await client.post(
            "/v1/tasks",
            json=BODY,
            headers=await key_of(client, f"acct_poor{random_bytes(3).hex()}") | {"Idempotency-Key": "a"},
        )
        assert (poor.status_code, poor.json()["shortfall_credits_micro"]) == (402, 4 * CREDIT)


async def test_a_cancel_says_what_it_released(place: Place) -> None:
    instance = await place.instance("one").start().ready()
    mine = account()
    place.others.ignored.add("ReserveCredits")
    async with httpx.AsyncClient(base_url=instance.url, timeout=30) as client:
        headers = await key_of(client, mine)
        made = await client.post("/v1/tasks", json=BODY, headers=headers | {"Idempotency-Key": "a"})
        path = f"/v1/tasks/{made.json()['id']}"
        told = await client.post(f"{path}/cancel", headers=headers)
        twice = await client.post(f"{path}/cancel", headers=headers)
    assert told.status_code == 200, told.text
    assert told.json()["state"] == "cancelled"
    assert told.json()["released_credits_micro"] == 4 * CREDIT
    assert twice.json()["code"] == "already_ended"


async def test_orders_that_were_accepted_survive_a_kill_and_are_published_once(place: Place) -> None:
    instance = await place.instance("one").start().ready()
    mine = account()
    async with httpx.AsyncClient(base_url=instance.url, timeout=30) as client:
        headers = await key_of(client, mine)
        accepted: dict[str, bytes] = {}

        async def order(number: int) -> None:
            try:
                answer = await client.post(
                    "/v1/tasks", json=BODY, headers=headers | {"Idempotency-Key": str(number)}
                )
            except httpx.TransportError:
                return
            if answer.status_code == 202:
                accepted[str(number)] = answer.content

        orders = [asyncio.create_task(order(number)) for number in range(40)]
        await eventually(lambda: len(accepted) >= 10)
        instance.kill()
        await asyncio.gather(*orders)
    two = await place.instance("two").start().ready()
    async with httpx.AsyncClient(base_url=two.url, timeout=30) as client:
        for number in range(40):
            answer = await client.post(
                "/v1/tasks", json=BODY, headers=headers | {"Idempotency-Key": str(number)}
            )
            assert answer.status_code == 202, answer.text
            if str(number) in accepted:
                assert answer.content == accepted[str(number)]
            accepted[str(number)] = answer.content
        ids = {json.loads(body)["id"] for body in accepted.values()}
        assert len(ids) == 40

        def all_recorded_once() -> bool:
            return all(place.others.types_of(task_id).count("task.accepted") == 1 for task_id in ids)

        await eventually(all_recorded_once, within_s=120)

        def reserved() -> list[str]:
            reserves = {
                reserve_credits["command_id"]: reserve_credits["task_id"]
                for reserve_credits in place.others.commands["ReserveCredits"]
            }
            return sorted(task for task in reserves.values() if task in ids)

        # Commands have a topic of their own, read apart from the events.
        await eventually(lambda: set(reserved()) == ids, within_s=120)
        assert reserved() == sorted(ids)

        async def all_funded() -> bool:
            page = (await client.get("/v1/tasks?state=funded&limit=200", headers=headers)).json()
            return {task["id"] for task in page["tasks"]} == ids

        # The killed instance's share of the group comes back when the broker notices its death.
        await eventually(all_funded, within_s=90)


async def test_two_instances_make_one_task_of_one_request(place: Place) -> None:
    first_instance, second_instance = place.instance("one").start(), place.instance("two").start()
    await asyncio.gather(first_instance.ready(), second_instance.ready())
    mine = account()
    async with (
        httpx.AsyncClient(base_url=first_instance.url, timeout=30) as first,
        httpx.AsyncClient(base_url=second_instance.url, timeout=30) as second,
    ):
        headers = await key_of(first, mine)
        pairs = await asyncio.gather(
            *(
                client.post("/v1/tasks", json=BODY, headers=headers | {"Idempotency-Key": str(number)})
                for number in range(20)
                for client in (first, second)
            )
        )
        assert {answer.status_code for answer in pairs} == {202}
        replayed = [answer.headers.get("idempotent-replayed") for answer in pairs]
        assert replayed.count("true") == 20
        for number in range(20):
            assert pairs[2 * number].content == pairs[2 * number + 1].content
        clash = await second.post(
            "/v1/tasks", json=BODY | {"k": 3}, headers=headers | {"Idempotency-Key": "0"}
        )
        assert clash.json()["code"] == "idempotency_key_reused"
        task_id = pairs[0].json()["id"]
        both = [await client.get(f"/v1/tasks/{task_id}", headers=headers) for client in (first, second)]
        assert [answer.status_code for answer in both] == [200, 200]
    ids = {answer.json()["id"] for answer in pairs}
    await eventually(lambda: all("task.funded" in place.others.types_of(id_) for id_ in ids), within_s=30)
    assert all(place.others.types_of(task_id).count("task.accepted") == 1 for task_id in ids)


async def test_unfinished_requests_are_closed_while_a_stream_lives_on(place: Place) -> None:
    seconds = {"HTTP_HEADER_TIMEOUT_S": "2", "HTTP_BODY_TIMEOUT_S": "2", "HTTP_KEEP_ALIVE_TIMEOUT_S": "2"}
    instance = await place.instance("one", **seconds, HTTP_CONNECTIONS_MAX="700").start().ready()
    place.others.ignored.add("ReserveCredits")
    async with httpx.AsyncClient(base_url=instance.url, timeout=60) as client:
        headers = await key_of(client, account())
        made = await client.post("/v1/tasks", json=BODY, headers=headers | {"Idempotency-Key": "a"})
        path = f"/v1/tasks/{made.json()['id']}"
        async with client.stream("GET", f"{path}/events", headers=headers) as stream:
            lines = stream.aiter_lines()
            while await anext(lines) != "event: task.accepted":
                pass
            body = HALF_BODY.replace(b"/echo", b"/v1/tasks")
            every = await asyncio.gather(
                *(ended(instance.http_port, HALF_HEADER) for _ in range(300)),
                *(ended(instance.http_port, body, forever=b" ", every_s=0.5) for _ in range(300)),
                *(ended(instance.ops_port, HALF_HEADER, forever=b"a", every_s=0.5) for _ in range(300)),
            )
            # A body without a key is answered at once, and its connection is closed all the same.
            answers = (b"HTTP/1.1 408 ", b"HTTP/1.1 401 ", b"HTTP/1.1 429 ")
            assert all(said.startswith(answers) or not said for _, said in every)
            async with httpx.AsyncClient(base_url=instance.url, timeout=60) as other:
                assert (await other.post(f"{path}/cancel", headers=headers)).status_code == 200
            while await anext(lines) != "event: task.cancelled":
                pass


async def test_an_input_is_read_from_an_https_url_whose_certificate_is_good(
    place: Place, tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    async with (
        serving(authority.good("localhost"), answering(PNG)) as good,
        serving(authority.expired("localhost"), answering(PNG)) as expired,
    ):
        hosts = json.dumps([f"localhost:{server.port}" for server in (good, expired)])
        instance = place.instance("one", URL_CA_FILE=str(authority.ca_file), URL_ALLOWED_HOSTS=hosts)
        await instance.start().ready()
        async with httpx.AsyncClient(base_url=instance.url, timeout=60) as client:
            headers = await key_of(client, account())
            read = await client.post("/v1/inputs", json={"url": good.url(host="localhost")}, headers=headers)
            bad = await client.post(
                "/v1/inputs", json={"url": expired.url(host="localhost")}, headers=headers
            )
            inside = await client.post(
                "/v1/inputs", json={"url": f"https://127.0.0.1:{good.port}/"}, headers=headers
            )
    assert read.status_code == 201, read.text
    assert (bad.status_code, bad.json()["code"]) == (422, "url_tls_failed")
    assert (inside.status_code, inside.json()["code"]) == (422, "url_not_allowed")
    assert good.names == ["localhost"]

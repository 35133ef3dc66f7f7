"""Ingest as a process of its own on real servers: the public API, unfinished requests, and inputs from a URL.

The tests of a bus share servers, neighbours and an instance; the last of them starts an instance of its own.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import httpx
import pytest
import pytest_asyncio

from tests.integration.ingest_neighbours import CREDIT
from tests.integration.ingest_process import (
    ADMIN,
    BODY,
    Instance,
    Place,
    account,
    ingest_place,
    key_of,
    own_servers,
)
from tests.support.eventually import eventually
from tests.support.raw_http import HALF_BODY, HALF_HEADER, ended
from tests.support.servers.tls import Authority, TlsServer, answering, serving
from winnow.local.stack import Addresses
from winnow.runtime.clock import random_bytes

pytestmark = [pytest.mark.timeout(500), pytest.mark.asyncio(loop_scope="module")]
PNG = b"\x89PNG\r\n\x1a\n" + b"rest of a picture"


@dataclass
class Sources:
    """Servers with inputs: the certificate of the first is good, that of the second has expired."""

    good: TlsServer
    expired: TlsServer
    settings: dict[str, str]


@pytest.fixture(scope="module")
def addresses(bus: str) -> Iterator[Addresses]:
    with own_servers(bus) as addresses:
        yield addresses


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def place(addresses: Addresses, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    async with ingest_place(addresses, tmp_path_factory.mktemp("ingest")) as place:
        yield place


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def sources(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Sources]:
    authority = Authority(tmp_path_factory.mktemp("authority"))
    async with (
        serving(authority.good("localhost"), answering(PNG)) as good,
        serving(authority.expired("localhost"), answering(PNG)) as expired,
    ):
        hosts = json.dumps([f"localhost:{server.port}" for server in (good, expired)])
        yield Sources(good, expired, {"URL_CA_FILE": str(authority.ca_file), "URL_ALLOWED_HOSTS": hosts})


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def instance(place: Place, sources: Sources) -> Instance:
    return await place.instance("one", **sources.settings).start().ready()


async def test_an_order_is_taken_followed_and_billed(place: Place, instance: Instance) -> None:
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


@pytest.mark.one_bus
async def test_a_cancel_says_what_it_released(place: Place, instance: Instance) -> None:
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


@pytest.mark.one_bus
async def test_an_input_is_read_from_an_https_url_whose_certificate_is_good(
    instance: Instance, sources: Sources
) -> None:
    good, expired = sources.good, sources.expired
    async with httpx.AsyncClient(base_url=instance.url, timeout=60) as client:
        headers = await key_of(client, account())
        read = await client.post("/v1/inputs", json={"url": good.url(host="localhost")}, headers=headers)
        bad = await client.post("/v1/inputs", json={"url": expired.url(host="localhost")}, headers=headers)
        inside = await client.post(
            "/v1/inputs", json={"url": f"https://127.0.0.1:{good.port}/"}, headers=headers
        )
    assert read.status_code == 201, read.text
    assert (bad.status_code, bad.json()["code"]) == (422, "url_tls_failed")
    assert (inside.status_code, inside.json()["code"]) == (422, "url_not_allowed")
    assert good.names == ["localhost"]


@pytest.mark.one_bus
async def test_unfinished_requests_are_closed_while_a_stream_lives_on(
    place: Place, instance: Instance
) -> None:
    instance.stop()
    seconds = {"HTTP_HEADER_TIMEOUT_S": "2", "HTTP_BODY_TIMEOUT_S": "2", "HTTP_KEEP_ALIVE_TIMEOUT_S": "2"}
    instance = await place.instance("two", **seconds, HTTP_CONNECTIONS_MAX="700").start().ready()
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

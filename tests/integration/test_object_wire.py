"""The wire to the object store against SeaweedFS itself, with boto3 on the other side; the store is killed on the way."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
import pytest_asyncio
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from tests.support.eventually import eventually, eventually_sync
from winnow.local.ports import HOST, choose
from winnow.local.process import Managed
from winnow.local.servers import PORT_NAMES, seaweed
from winnow.objectwire.connection import BrokenExchange, RefusedRequest
from winnow.objectwire.wire import ObjectWire

BUCKET = "wire"
KEYS = ("access-key", "secret-key")
MEGABYTE = bytes(range(256)) * 4096
ODD_KEYS = ["plain", "a b+c", "größe/写真/🙂.jpg", "q?x=1&y=%2F#z", "tilde~'(quotes)\"*", "a=b;c,d@e:f$g!"]


class Store:
    """A SeaweedFS that can be killed and started again on its own data."""

    def __init__(self, root: Path) -> None:
        (root / "logs").mkdir()
        self._ports = choose(PORT_NAMES, {})
        self._server: Managed = seaweed(root, self._ports, *KEYS)
        self.endpoint = f"http://{HOST}:{self._ports['s3']}"
        self.boto3: Any = boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=KEYS[0],
            aws_secret_access_key=KEYS[1],
            config=Config(s3={"addressing_style": "path"}, connect_timeout=2, retries={"max_attempts": 1}),
        )

    def start(self) -> None:
        self._server.start()
        eventually_sync(self._answers, within_s=60, every_s=0.2)

    def _answers(self) -> bool:
        try:
            present = [bucket["Name"] for bucket in self.boto3.list_buckets()["Buckets"]]
            if BUCKET not in present:
                self.boto3.create_bucket(Bucket=BUCKET)
            self.boto3.put_object(Bucket=BUCKET, Key=".ready", Body=b"")
        except (BotoCoreError, ClientError):
            return False
        return True

    def shows(self, key: str) -> bool:
        try:
            self.boto3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
        except (BotoCoreError, ClientError):
            return False
        return True

    def kill(self) -> None:
        os.kill(self._server.pid, signal.SIGKILL)
        self._server.stop()

    def stop(self) -> None:
        self.boto3.close()
        self._server.stop()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    running = Store(tmp_path_factory.mktemp("seaweed"))
    running.start()
    yield running
    running.stop()


@pytest_asyncio.fixture
async def wire(store: Store) -> AsyncIterator[ObjectWire]:
    wire = ObjectWire(store.endpoint, "us-east-1", *KEYS)
    yield wire
    await wire.close()


@pytest.mark.parametrize("key", ODD_KEYS)
async def test_what_the_wire_puts_boto3_finds_and_the_other_way(
    store: Store, wire: ObjectWire, key: str
) -> None:
    await wire.put(BUCKET, key, b"ours", "image/webp")
    found = store.boto3.get_object(Bucket=BUCKET, Key=key)
    assert (found["Body"].read(), found["ContentType"]) == (b"ours", "image/webp")
    store.boto3.put_object(Bucket=BUCKET, Key=key, Body=b"theirs")
    assert await wire.get(BUCKET, key, 6) == b"theirs"
    await wire.head(BUCKET, key)
    store.boto3.delete_object(Bucket=BUCKET, Key=key)
    for asked in (wire.head(BUCKET, key), wire.get(BUCKET, key, 6)):
        with pytest.raises(RefusedRequest, match="404"):
            await asked


@pytest.mark.parametrize("body", [b"", b"x", MEGABYTE, MEGABYTE * 20], ids=lambda body: str(len(body)))
async def test_bodies_of_all_sizes_come_back_whole(wire: ObjectWire, body: bytes) -> None:
    await wire.put(BUCKET, "sized", body, "application/octet-stream")
    assert await wire.get(BUCKET, "sized", len(body)) == body
    if body:
        with pytest.raises(ValueError, match="larger than allowed"):
            await wire.get(BUCKET, "sized", len(body) - 1)
    # The connection that was ended for it is nobody's loss.
    assert await wire.get(BUCKET, "sized", len(body)) == body


async def test_many_at_once_keep_their_own_answers(wire: ObjectWire) -> None:
    bodies = {f"many/{index}": bytes([index]) * (index * 997) for index in range(100)}
    await asyncio.gather(*(wire.put(BUCKET, key, body, "text/plain") for key, body in bodies.items()))
    found = await asyncio.gather(*(wire.get(BUCKET, key, 100_000) for key in bodies))
    assert found == list(bodies.values())


async def test_a_wrong_key_is_refused_and_an_absent_bucket_is_absent(store: Store, wire: ObjectWire) -> None:
    stranger = ObjectWire(store.endpoint, "us-east-1", KEYS[0], "another-secret")
    with pytest.raises(RefusedRequest):
        await stranger.put(BUCKET, "key", b"x", "text/plain")
    await stranger.close()
    await wire.head(BUCKET)
    with pytest.raises(RefusedRequest, match="404"):
        await wire.head("no-such-bucket")


async def test_a_link_downloads_under_its_name_until_it_ends(wire: ObjectWire) -> None:
    await wire.put(BUCKET, "größe 1.jpg", MEGABYTE, "image/jpeg")
    terms = {"filename": "order 1.jpg", "content_type": "image/jpeg"}
    link = wire.link(BUCKET, "größe 1.jpg", expires_in_s=2, **terms)
    async with httpx.AsyncClient() as client:
        got = await client.get(link)
        assert (got.status_code, got.content) == (200, MEGABYTE)
        assert got.headers["content-disposition"] == 'attachment; filename="order 1.jpg"'
        assert got.headers["content-type"] == "image/jpeg"
        assert (await client.get(link.replace("order", "other"))).status_code == 403
        await eventually(lambda: _is_refused(client, link), within_s=10)


async def _is_refused(client: httpx.AsyncClient, link: str) -> bool:
    return (await client.get(link)).status_code == 403


async def test_a_store_that_dies_in_the_middle_is_waited_for_and_found_again(
    store: Store, wire: ObjectWire
) -> None:
    """Puts and gets run while the store is killed: each ends whole or broken, and afterwards all works."""
    keys = [f"dies/{index}" for index in range(6)]
    body = MEGABYTE * 2
    await asyncio.gather(*(wire.put(BUCKET, key, body, "image/jpeg") for key in keys))
    killed = asyncio.Event()

    async def work(index: int) -> str:
        told = ""
        for key in keys[index:] + keys[:index]:
            try:
                if index % 2:
                    await wire.put(BUCKET, key, body, "image/jpeg")
                else:
                    assert await wire.get(BUCKET, key, len(body)) == body
            except (BrokenExchange, RefusedRequest) as error:
                told = type(error).__name__
            if index == 0:
                killed.set()
        return told

    working = [asyncio.create_task(work(index)) for index in range(len(keys))]
    await killed.wait()
    await asyncio.to_thread(store.kill)
    told = await asyncio.gather(*working)
    assert {"BrokenExchange", "StaleConnection"} & set(told)
    with pytest.raises(BrokenExchange):
        await wire.get(BUCKET, keys[0], len(body))
    await asyncio.to_thread(store.start)
    # The store may have lost what it had not acknowledged, never half of it.
    for key in keys:
        await wire.put(BUCKET, key, body, "image/jpeg")
        assert await wire.get(BUCKET, key, len(body)) == body


async def test_a_restart_between_two_requests_is_not_noticed(store: Store, wire: ObjectWire) -> None:
    await wire.put(BUCKET, "stays", b"content", "text/plain")
    await asyncio.to_thread(store.kill)
    await asyncio.to_thread(store.start)
    # Its volumes come back one after another; the wire's connection is still the one of the dead server.
    await eventually(lambda: asyncio.to_thread(store.shows, "stays"), within_s=60)
    assert await wire.get(BUCKET, "stays", 10) == b"content"

"""CPU of a call of the object store, in the process that calls, by client, against a SeaweedFS on loopback.

Every client signs and sends the same put, get and head of 4 KB; the rounds alternate. Two library clients use the
wire's own signature, so that only HTTP differs. The third signs as botocore does. boto3 runs in threads, as the rare
calls do.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import boto3
import httpx
import uvloop
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError
from yarl import URL

from tests.support.eventually import eventually_sync
from winnow.local.ports import HOST, choose
from winnow.local.servers import PORT_NAMES, seaweed
from winnow.objectwire.pool import Endpoint
from winnow.objectwire.signature import Signer, encoded_path
from winnow.objectwire.wire import ObjectWire
from winnow.runtime.clock import SystemClock

BUCKET, KEY, BODY, TYPE = "bench", "tasks/2026/candidate-000.jpg", bytes(range(256)) * 16, "image/jpeg"
ACCESS, SECRET, REGION = "access-key", "secret-key", "us-east-1"
PATH = encoded_path(BUCKET, KEY)
CALLS = ("put", "get", "head")
Call = Callable[[str], Awaitable[object]]


@contextmanager
def running_store() -> Iterator[tuple[str, Any]]:
    """Run SeaweedFS with an empty bucket; yields its endpoint and a boto3 client."""
    with tempfile.TemporaryDirectory(prefix="winnow-objects-") as folder:
        ports = choose(PORT_NAMES, {})
        server = seaweed(Path(folder), ports, ACCESS, SECRET)
        endpoint = f"http://{HOST}:{ports['s3']}"
        client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name=REGION,
            aws_access_key_id=ACCESS,
            aws_secret_access_key=SECRET,
            config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
        )

        def answers() -> bool:
            try:
                client.create_bucket(Bucket=BUCKET)
                client.put_object(Bucket=BUCKET, Key=KEY, Body=BODY)
            except (BotoCoreError, ClientError):
                return False
            return True

        server.start()
        try:
            eventually_sync(answers, within_s=60, every_s=0.2)
            yield endpoint, client
        finally:
            client.close()
            server.stop()


def clients_of(endpoint: str, client: Any, closing: list[Callable[[], Awaitable[None]]]) -> dict[str, Call]:
    """Return a caller by the name of its client."""
    wire = ObjectWire(endpoint, REGION, ACCESS, SECRET)
    signer = Signer(Endpoint.parse(endpoint).host_header, REGION, ACCESS, SECRET, SystemClock().now)
    theirs = S3SigV4Auth(Credentials(ACCESS, SECRET), "s3", REGION)
    web = aiohttp.ClientSession()
    http = httpx.AsyncClient()
    threads = ThreadPoolExecutor(8)
    closing += [wire.close, web.close, http.aclose]

    def head(call: str) -> tuple[str, bytes, dict[str, str]]:
        body = BODY if call == "put" else b""
        lines = signer.head(call.upper(), PATH, body, TYPE if body else "").decode().split("\r\n")[1:-2]
        return call.upper(), body, {name: value for name, _, value in (line.partition(":") for line in lines)}

    async def by_wire(call: str) -> None:
        if call == "put":
            await wire.put(BUCKET, KEY, BODY, TYPE)
        elif call == "get":
            await wire.get(BUCKET, KEY, len(BODY))
        else:
            await wire.head(BUCKET, KEY)

    async def by_aiohttp(call: str) -> None:
        await send(*head(call))

    async def by_aiohttp_and_botocore(call: str) -> None:
        body = BODY if call == "put" else b""
        request = AWSRequest(
            call.upper(), endpoint + PATH, headers={"Content-Type": TYPE} if body else {}, data=body
        )
        theirs.add_auth(request)
        await send(call.upper(), body, dict(request.headers.items()))

    async def send(method: str, body: bytes, headers: dict[str, str]) -> None:
        url = URL(endpoint + PATH, encoded=True)
        async with web.request(method, url, data=body or None, headers=headers) as answer:
            await answer.read()

    async def by_httpx(call: str) -> None:
        method, body, headers = head(call)
        await http.request(method, endpoint + PATH, content=body or None, headers=headers)

    def in_thread(call: str) -> None:
        if call == "put":
            client.put_object(Bucket=BUCKET, Key=KEY, Body=BODY, ContentType=TYPE)
        elif call == "get":
            client.get_object(Bucket=BUCKET, Key=KEY)["Body"].read()
        else:
            client.head_object(Bucket=BUCKET, Key=KEY)

    async def by_boto3(call: str) -> None:
        await asyncio.get_running_loop().run_in_executor(threads, in_thread, call)

    return {
        "own wire": by_wire,
        "aiohttp": by_aiohttp,
        "aiohttp, botocore": by_aiohttp_and_botocore,
        "httpx": by_httpx,
        "boto3 in threads": by_boto3,
    }


async def cpu_us(caller: Call, call: str, calls_count: int, at_once: int) -> float:
    """Return the CPU of a call in microseconds, the loop and the system calls included."""

    async def work() -> None:
        for _ in range(calls_count // at_once):
            await caller(call)

    begun_s = time.process_time()
    await asyncio.gather(*(work() for _ in range(at_once)))
    return (time.process_time() - begun_s) / (calls_count // at_once * at_once) * 1e6


async def measure(endpoint: str, client: Any, rounds: int, calls_count: int) -> None:
    closing: list[Callable[[], Awaitable[None]]] = []
    callers = clients_of(endpoint, client, closing)
    spent: dict[tuple[str, str, int], list[float]] = {}
    for turn in range(-1, rounds):
        for at_once in (1, 8):
            for call in CALLS:
                for name, caller in callers.items():
                    us = await cpu_us(caller, call, calls_count if turn >= 0 else 40, at_once)
                    if turn >= 0:
                        spent.setdefault((name, call, at_once), []).append(us)
    print(f"CPU of a call in us: median of {rounds} rounds of {calls_count} calls (least, most)")
    for (name, call, at_once), found in sorted(spent.items(), key=lambda row: (row[0][2], row[0][1])):
        median, least, most = statistics.median(found), min(found), max(found)
        print(f"{at_once} at once  {call:5} {name:18} {median:7.0f}  ({least:.0f}, {most:.0f})")
    for close in closing:
        await close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=400)
    given = parser.parse_args()
    with running_store() as (endpoint, client):
        uvloop.run(measure(endpoint, client, given.rounds, given.calls))


if __name__ == "__main__":
    main()

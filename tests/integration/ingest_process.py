"""Ingest as processes of its own on one database, with its neighbours in the process of the test."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from tests.integration.ingest_neighbours import SHARDS, Neighbours, neighbours
from tests.support.eventually import eventually
from tests.support.servers.stack import running_stack
from winnow.adapters.topics import apply_topics
from winnow.local.ports import choose
from winnow.local.stack import Addresses
from winnow.runtime.clock import random_bytes

ADMIN = {"Authorization": "Bearer an-admin-token-for-tests"}
BODY = {"template": "studio_headshot", "mode": "low_cost", "k": 2, "prompt": "a friendly engineer"}


@dataclass
class Instance:
    """One process of ingest."""

    name: str
    env: dict[str, str]
    http_port: int
    ops_port: int
    log: Path
    program: tuple[str, ...] = ("-m", "services.ingest.main")
    process: subprocess.Popen[bytes] | None = None
    url: str = field(init=False)

    def __post_init__(self) -> None:
        self.url = f"http://127.0.0.1:{self.http_port}"

    def start(self) -> Instance:
        with self.log.open("ab") as output:
            command = [sys.executable, *self.program]
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


@contextmanager
def own_servers(bus: str) -> Iterator[Addresses]:
    """Run servers for a single test, or for tests that share an instance.

    Another ingest in the same consumer group would take partitions away. What a killed instance leaves behind in bus
    and database kept later ones from starting on a busy machine.
    """
    with running_stack(bus) as stack:
        asyncio.run(apply_topics(stack.addresses.kafka_bootstrap, shards=SHARDS, replicas=1))
        yield stack.addresses


@asynccontextmanager
async def ingest_place(addresses: Addresses, folder: Path) -> AsyncIterator[Place]:
    """Run the neighbours of ingest; stop at the end every instance that the test started."""
    port = choose(["grpc"], {})["grpc"]
    async with neighbours(addresses.kafka_bootstrap, port) as others:
        place = Place(addresses, others, port, folder, f"winnow_ingest_{random_bytes(4).hex()}")
        try:
            yield place
        finally:
            for instance in place.instances:
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

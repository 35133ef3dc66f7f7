"""The ledger as a process of its own, its commands on a real bus, and what it says about them."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import httpx
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from tests.support.builders.task_ids import ReservationIds
from tests.support.eventually import eventually
from winnow.contracts.commands import (
    GrantCredits,
    LedgerCommand,
    RefundCredits,
    ReleaseCredits,
    ReserveCredits,
    SettleCredits,
)
from winnow.contracts.envelope import CONTENT_TYPE, Envelope, RecordedMessage
from winnow.contracts.ids import Prefix, derive_id, shard_of
from winnow.contracts.topics import LEDGER_COMMAND_TOPIC
from winnow.contracts.values import ProviderCost
from winnow.local.ports import choose
from winnow.local.stack import Addresses
from winnow.rpc.ledger.v1 import ledger_pb2 as pb
from winnow.rpc.ledger.v1 import ledger_pb2_grpc

SHARDS = 4
CREDIT = 1_000_000
LATER = datetime(2099, 1, 1, tzinfo=UTC)


class LedgerProcess:
    """The service; ``kill`` ends it without a word, ``start`` begins it again on the same ports."""

    def __init__(self, addresses: Addresses, log: Path, database: str = "winnow_ledger_it") -> None:
        self.log = log
        self.ports = choose(["ops", "grpc"], {})
        settings = {
            "KAFKA_BOOTSTRAP": addresses.kafka_bootstrap,
            **addresses.bus_settings,
            "SHARDS": str(SHARDS),
            "MONGO_URI": addresses.mongo_uri,
            "MONGO_DATABASE": database,
            "INSTANCE": log.stem,
            "S3_ENDPOINT": addresses.s3_endpoint,
            "S3_ACCESS_KEY": addresses.s3_access_key,
            "S3_SECRET_KEY": addresses.s3_secret_key,
            "OPS_PORT": str(self.ports["ops"]),
            "GRPC_PORT": str(self.ports["grpc"]),
        }
        self._env = os.environ | {f"WINNOW_LEDGER_{name}": value for name, value in settings.items()}
        self.start()

    def start(self) -> None:
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "services.ledger.main"], env=self._env, stdout=out, stderr=out
            )

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=60) == 0, self.log.read_text()

    async def wait_ready(self) -> None:
        async with httpx.AsyncClient(timeout=2.0) as client:

            async def is_ready() -> bool:
                if self.process.poll() is not None:
                    raise RuntimeError(self.log.read_text())
                try:
                    answer = await client.get(f"http://127.0.0.1:{self.ports['ops']}/readyz")
                except httpx.TransportError:
                    return False
                return answer.status_code == 200

            await eventually(is_ready, within_s=150)


@asynccontextmanager
async def stub_of(ledger: LedgerProcess) -> AsyncIterator[Any]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{ledger.ports['grpc']}") as channel:
        yield ledger_pb2_grpc.LedgerServiceStub(channel)


async def send(addresses: Addresses, commands: Sequence[LedgerCommand]) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=addresses.kafka_bootstrap, acks="all")
    await producer.start()
    try:
        for command in commands:
            envelope = Envelope(
                event_id=derive_id(Prefix.event, "it", command.command_id),
                occurred_at=datetime(2026, 1, 1, tzinfo=UTC),
                producer="ingest",
                subject=command.account_id,
                sequence=0,
                correlation_id="it",
                causation_id="it",
            )
            await producer.send_and_wait(
                LEDGER_COMMAND_TOPIC.name,
                RecordedMessage(envelope, command).encode(),
                key=command.account_id.encode(),
                partition=shard_of(command.account_id, SHARDS),
                headers=[("type", command.type.encode()), ("content-type", CONTENT_TYPE.encode())],
            )
    finally:
        await producer.stop()


async def read(addresses: Addresses, topic: str, account_id: str, count: int) -> list[dict[str, Any]]:
    """Return what the topic holds about an account, once it holds ``count`` different events."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=addresses.kafka_bootstrap, auto_offset_reset="earliest", fetch_max_wait_ms=5
    )
    await consumer.start()
    found: dict[str, dict[str, Any]] = {}
    try:
        async with asyncio.timeout(30):
            while len(found) < count:
                document = json.loads((await consumer.getone()).value)
                if document.get("account_id") == account_id:
                    found.setdefault(document["event_id"], document)
    finally:
        await consumer.stop()
    return sorted(found.values(), key=lambda event: int(event["sequence"]))


def ids(account_id: str, name: object) -> ReservationIds:
    return ReservationIds(
        account_id=account_id,
        reservation_id=derive_id(Prefix.reservation, account_id, str(name)),
        task_id=derive_id(Prefix.task, account_id, str(name)),
    )


def command_id(*parts: object) -> str:
    return derive_id(Prefix.command, "it", *map(str, parts))


def grant(
    account_id: str, amount_credits: int, source: Any = "topup", expires_at: datetime | None = None
) -> GrantCredits:
    return GrantCredits(
        command_id=command_id("grant", account_id, source),
        account_id=account_id,
        grant_id=derive_id(Prefix.grant, account_id, source),
        amount_credits_micro=amount_credits * CREDIT,
        source=source,
        expires_at=expires_at,
    )


def reserve(
    account_id: str, name: object, amount_credits: int, expires_at: datetime = LATER
) -> ReserveCredits:
    return ReserveCredits(
        command_id=command_id("reserve", account_id, name),
        **ids(account_id, name),
        amount_credits_micro=amount_credits * CREDIT,
        price_per_output_credits_micro=CREDIT,
        expires_at=expires_at,
    )


def settle(account_id: str, name: object, outputs: int) -> SettleCredits:
    return SettleCredits(
        command_id=command_id("settle", account_id, name),
        **ids(account_id, name),
        amount_credits_micro=outputs * CREDIT,
        delivered_count=outputs,
        cost=ProviderCost(expected_usd_micro=30_000, actual_usd_micro=32_000, attempts_count=2),
        reason="delivered",
    )


def release(account_id: str, name: object) -> ReleaseCredits:
    return ReleaseCredits(
        command_id=command_id("release", account_id, name),
        **ids(account_id, name),
        cost=ProviderCost(),
        reason="deadline_exceeded",
    )


def refund(account_id: str, name: object, amount_credits: int) -> RefundCredits:
    return RefundCredits(
        command_id=command_id("refund", account_id, name),
        **ids(account_id, name),
        amount_credits_micro=amount_credits * CREDIT,
        reason="complaint",
    )


async def balance_becomes(
    stub: Any, account_id: str, available: int, held: int, settled: int
) -> pb.BalanceResponse:
    wanted = [available * CREDIT, held * CREDIT, settled * CREDIT]

    async def reached() -> pb.BalanceResponse:
        answer = await stub.Balance(pb.BalanceRequest(account_id=account_id), timeout=5)
        assert [
            answer.available_credits_micro,
            answer.held_credits_micro,
            answer.settled_credits_micro,
        ] == wanted
        return answer

    return await eventually(reached, within_s=90)

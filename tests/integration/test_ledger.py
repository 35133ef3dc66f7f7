"""The ledger as a process of its own, on a real bus and a real document store."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from tests.support.eventually import eventually
from winnow.contracts.commands import (
    GrantCredits,
    LedgerCommand,
    RefundCredits,
    ReleaseCredits,
    ReserveCredits,
    SettleCredits,
)
from winnow.contracts.envelope import CONTENT_TYPE, Envelope, Recorded
from winnow.contracts.ids import Prefix, derive_id, shard_of
from winnow.contracts.topics import ACCOUNTS, LEDGER_COMMAND_TOPIC, TASKS
from winnow.contracts.values import ProviderCost, Unit
from winnow.local.ports import choose
from winnow.local.stack import Addresses
from winnow.rpc.ledger.v1 import ledger_pb2 as pb
from winnow.rpc.ledger.v1 import ledger_pb2_grpc
from winnow.runtime.topics import apply_topics

SHARDS = 4
CREDIT = 1_000_000
LATER = datetime(2099, 1, 1, tzinfo=UTC)


class LedgerProcess:
    """The service; ``kill`` ends it without a word, ``start`` begins it again on the same ports."""

    def __init__(self, addresses: Addresses, log: Path) -> None:
        self.log = log
        self.ports = choose(["ops", "grpc"], {})
        settings = {
            "KAFKA_BOOTSTRAP": addresses.kafka_bootstrap,
            "IDEMPOTENT_PRODUCER": "false",
            "FETCH_MAX_WAIT_MS": "5",
            "SESSION_TIMEOUT_MS": "6000",
            "SHARDS": str(SHARDS),
            "MONGO_URI": addresses.mongo_uri,
            "MONGO_DATABASE": "winnow_ledger_it",
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

            await eventually(is_ready, within_s=60)


@pytest.fixture(scope="module")
def addresses(servers: Addresses) -> Addresses:
    asyncio.run(apply_topics(servers.kafka_bootstrap, shards=SHARDS, replicas=1))
    return servers


@pytest.fixture(scope="module")
def ledger(addresses: Addresses, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LedgerProcess]:
    running = LedgerProcess(addresses, tmp_path_factory.mktemp("ledger") / "ledger.log")
    try:
        yield running
    finally:
        running.stop()


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
                Recorded(envelope, command).encode(),
                key=command.account_id.encode(),
                partition=shard_of(command.account_id, SHARDS),
                headers=[("type", command.type.encode()), ("content-type", CONTENT_TYPE.encode())],
            )
    finally:
        await producer.stop()


async def read(addresses: Addresses, topic: str, account_id: str, count: int) -> list[dict[str, Any]]:
    """Give what the topic holds about an account, once it holds ``count`` different events."""
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
    return sorted(found.values(), key=lambda one: int(one["sequence"]))


def ids(account_id: str, name: object) -> dict[str, str]:
    return {
        "account_id": account_id,
        "reservation_id": derive_id(Prefix.reservation, account_id, str(name)),
        "task_id": derive_id(Prefix.task, account_id, str(name)),
    }


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

    return await eventually(reached, within_s=30)


async def test_commands_move_the_books_and_are_answered(addresses: Addresses, ledger: LedgerProcess) -> None:
    account = "acct_story"
    commands = [
        grant(account, 10),
        reserve(account, 1, 6),
        reserve(account, 2, 5),
        settle(account, 1, 4),
        reserve(account, 3, 6),
        release(account, 3),
        refund(account, 1, 1),
    ]
    await ledger.wait_ready()
    await send(addresses, commands)
    await send(addresses, commands)
    async with stub_of(ledger) as stub:
        answer = await balance_becomes(stub, account, available=7, held=0, settled=3)
        assert [one.left_credits_micro for one in answer.grants] == [7 * CREDIT]
        first = await stub.Statement(pb.StatementRequest(account_id=account, limit=4), timeout=5)
        rest = await stub.Statement(
            pb.StatementRequest(account_id=account, limit=4, cursor=first.next_cursor), timeout=5
        )
    kinds = [one.kind for one in [*first.entries, *rest.entries]]
    assert kinds == ["refund", "release", "reserve", "settle", "reserve", "grant"]
    assert rest.next_cursor == ""

    tasks = await read(addresses, TASKS.name, account, 5)
    assert [one["type"] for one in tasks] == [
        "task.funded",
        "task.unfunded",
        "task.settled",
        "task.funded",
        "task.settled",
    ]
    assert tasks[1]["shortfall_credits_micro"] == CREDIT
    assert (tasks[2]["settled_credits_micro"], tasks[2]["released_credits_micro"]) == (4 * CREDIT, 2 * CREDIT)
    entries = await read(addresses, ACCOUNTS.name, account, 6)
    for entry in entries:
        for unit in Unit:
            assert sum(one["amount_micro"] for one in entry["postings"] if one["unit"] == unit.value) == 0
    numbers = sorted(int(one["sequence"]) for one in [*tasks, *entries])
    assert numbers == list(range(1, 12))


async def test_killed_ledger_loses_and_repeats_nothing(addresses: Addresses, ledger: LedgerProcess) -> None:
    account = "acct_crash"
    count = 60
    await ledger.wait_ready()
    await send(addresses, [grant(account, count), *(reserve(account, number, 1) for number in range(count))])
    ends: list[LedgerCommand] = [
        settle(account, number, 1) if number % 2 else release(account, number) for number in range(count)
    ]
    async with stub_of(ledger) as stub:
        await balance_becomes(stub, account, available=0, held=count, settled=0)
        sending = asyncio.create_task(send(addresses, ends))

        async def some_ended() -> bool:
            answer = await stub.Balance(pb.BalanceRequest(account_id=account), timeout=5)
            return bool(answer.held_credits_micro < count * CREDIT)

        await eventually(some_ended, within_s=30, every_s=0.01)
    ledger.kill()
    await sending
    ledger.start()
    await ledger.wait_ready()
    async with stub_of(ledger) as stub:
        await balance_becomes(stub, account, available=count // 2, held=0, settled=count // 2)
        statement = await stub.Statement(pb.StatementRequest(account_id=account, limit=200), timeout=5)
    assert len({one.entry_id for one in statement.entries}) == 2 * count + 1
    settled = [
        one for one in await read(addresses, TASKS.name, account, 2 * count) if one["type"] == "task.settled"
    ]
    assert len({one["reservation_id"] for one in settled}) == len(settled) == count


async def test_time_alone_ends_a_reservation_and_then_a_grant(
    addresses: Addresses, ledger: LedgerProcess
) -> None:
    account = "acct_time"
    await ledger.wait_ready()
    soon = datetime.now(UTC) + timedelta(seconds=3)
    await send(
        addresses,
        [
            grant(account, 2),
            grant(account, 5, "promo", soon),
            reserve(account, 1, 1, LATER),
            reserve(account, 2, 2, soon),
        ],
    )
    async with stub_of(ledger) as stub:
        # One credit of the promotion stays held by the first reservation; what the second held gets a day of grace.
        answer = await balance_becomes(stub, account, available=4, held=1, settled=0)
        statement = await stub.Statement(pb.StatementRequest(account_id=account, limit=50), timeout=5)
    assert sorted(one.kind for one in statement.entries) == sorted(
        ["grant", "grant", "reserve", "reserve", "expire_reservation", "expire_grant"]
    )
    assert sorted(one.left_credits_micro for one in answer.grants) == [2 * CREDIT, 2 * CREDIT]


async def test_questions(ledger: LedgerProcess) -> None:
    await ledger.wait_ready()
    async with stub_of(ledger) as stub:
        ask = {"template": "studio_headshot", "template_version": 1, "k": 20}
        cheap = await stub.Quote(pb.QuoteRequest(mode="low_cost", **ask), timeout=5)
        fast = await stub.Quote(pb.QuoteRequest(mode="fast", **ask), timeout=5)
        assert cheap.reserve_credits_micro == 20 * cheap.price_per_output_credits_micro
        assert fast.price_per_output_credits_micro > cheap.price_per_output_credits_micro > 0
        assert cheap.price_rule
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Quote(pb.QuoteRequest(mode="psychic", **ask), timeout=5)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert ("winnow-code", "unknown_mode") in list(refused.value.trailing_metadata() or ())
        nobody = await stub.Balance(pb.BalanceRequest(account_id="acct_nobody"), timeout=5)
        assert (nobody.available_credits_micro, nobody.held_credits_micro, list(nobody.grants)) == (0, 0, [])
        with pytest.raises(grpc.aio.AioRpcError) as malformed:
            await stub.Balance(pb.BalanceRequest(account_id="'; drop"), timeout=5)
        assert malformed.value.code() is grpc.StatusCode.INVALID_ARGUMENT

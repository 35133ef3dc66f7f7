"""The ledger as a process of its own, on a real bus and a real document store."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
import grpc.aio
import pytest

from tests.integration.ledger_process import (
    CREDIT,
    LATER,
    SHARDS,
    LedgerProcess,
    balance_becomes,
    grant,
    read,
    refund,
    release,
    reserve,
    send,
    settle,
    stub_of,
)
from tests.support.eventually import eventually
from tests.support.refusals import code_of
from winnow.adapters.topics import apply_topics
from winnow.contracts.commands import LedgerCommand
from winnow.contracts.topics import ACCOUNTS, TASKS
from winnow.contracts.values import Unit
from winnow.local.stack import Addresses
from winnow.rpc.ledger.v1 import ledger_pb2 as pb


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
        assert [left.left_credits_micro for left in answer.grants] == [7 * CREDIT]
        first = await stub.Statement(pb.StatementRequest(account_id=account, limit=4), timeout=5)
        rest = await stub.Statement(
            pb.StatementRequest(account_id=account, limit=4, cursor=first.next_cursor), timeout=5
        )
    kinds = [row.kind for row in [*first.entries, *rest.entries]]
    assert kinds == ["refund", "release", "reserve", "settle", "reserve", "grant"]
    assert rest.next_cursor == ""

    tasks = await read(addresses, TASKS.name, account, 5)
    assert [task["type"] for task in tasks] == [
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
            assert (
                sum(posting["amount_micro"] for posting in entry["postings"] if posting["unit"] == unit.value)
                == 0
            )
    numbers = sorted(int(task["sequence"]) for task in [*tasks, *entries])
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
    assert len({entry.entry_id for entry in statement.entries}) == 2 * count + 1
    settled = [
        event
        for event in await read(addresses, TASKS.name, account, 2 * count)
        if event["type"] == "task.settled"
    ]
    assert len({event["reservation_id"] for event in settled}) == len(settled) == count


@pytest.mark.one_bus
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
    assert sorted(entry.kind for entry in statement.entries) == sorted(
        ["grant", "grant", "reserve", "reserve", "expire_reservation", "expire_grant"]
    )
    assert sorted(left.left_credits_micro for left in answer.grants) == [2 * CREDIT, 2 * CREDIT]


@pytest.mark.one_bus
async def test_questions(ledger: LedgerProcess) -> None:
    await ledger.wait_ready()
    async with stub_of(ledger) as stub:
        ask: dict[str, Any] = {"template": "studio_headshot", "template_version": 1, "k": 20}
        cheap = await stub.Quote(pb.QuoteRequest(mode="low_cost", **ask), timeout=5)
        fast = await stub.Quote(pb.QuoteRequest(mode="fast", **ask), timeout=5)
        assert cheap.reserve_credits_micro == 20 * cheap.price_per_output_credits_micro
        assert fast.price_per_output_credits_micro > cheap.price_per_output_credits_micro > 0
        assert cheap.price_rule
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Quote(pb.QuoteRequest(mode="psychic", **ask), timeout=5)
        assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert code_of(refused.value) == "unknown_mode"
        nobody = await stub.Balance(pb.BalanceRequest(account_id="acct_nobody"), timeout=5)
        assert (nobody.available_credits_micro, nobody.held_credits_micro, list(nobody.grants)) == (0, 0, [])
        with pytest.raises(grpc.aio.AioRpcError) as malformed:
            await stub.Balance(pb.BalanceRequest(account_id="'; drop"), timeout=5)
        assert malformed.value.code() is grpc.StatusCode.INVALID_ARGUMENT

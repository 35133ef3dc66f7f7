"""Two ledgers share the shards; one dies, the other takes over; the books and their view stay whole."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from motor.motor_asyncio import AsyncIOMotorClient

from services.ledger.store.entries import EntryView
from tests.integration.ledger_process import (
    CREDIT,
    SHARDS,
    LedgerProcess,
    balance_becomes,
    grant,
    read,
    release,
    reserve,
    send,
    settle,
    stub_of,
)
from tests.support.chain import verify_chain
from winnow.adapters.topics import apply_topics
from winnow.contracts.commands import LedgerCommand
from winnow.contracts.ids import shard_of
from winnow.contracts.topics import ACCOUNTS, TASKS
from winnow.eventstore import MongoJournalStore
from winnow.local.stack import Addresses
from winnow.rpc.ledger.v1 import ledger_pb2 as pb

DATABASE = "winnow_ledger_it"
"""The database of the other tests: one deployment has one bus and one journal."""
TASKS_EACH = 10


def _account_of_each_shard() -> list[str]:
    found: dict[int, str] = {}
    for number in range(200):
        account_id = f"acct_owners-{number}"
        found.setdefault(shard_of(account_id, SHARDS), account_id)
    return [found[shard] for shard in range(SHARDS)]


@pytest.fixture(scope="module")
def addresses(servers: Addresses) -> Addresses:
    asyncio.run(apply_topics(servers.kafka_bootstrap, shards=SHARDS, replicas=1))
    return servers


@pytest.fixture
def ledgers(addresses: Addresses, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[LedgerProcess]]:
    folder = tmp_path_factory.mktemp("ledgers")
    running = [LedgerProcess(addresses, folder / f"{name}.log", DATABASE) for name in ("first", "second")]
    try:
        yield running
    finally:
        for ledger in running:
            if ledger.process.poll() is None:
                ledger.stop()


async def test_second_ledger_takes_over_when_the_first_dies(
    addresses: Addresses, ledgers: list[LedgerProcess]
) -> None:
    accounts = _account_of_each_shard()
    first, second = ledgers
    for ledger in ledgers:
        await ledger.wait_ready()
    opening = [
        command
        for account in accounts
        for command in (
            grant(account, TASKS_EACH),
            *(reserve(account, number, 1) for number in range(TASKS_EACH)),
        )
    ]
    ends: list[LedgerCommand] = [
        settle(account, number, 1) if number % 2 else release(account, number)
        for number in range(TASKS_EACH)
        for account in accounts
    ]
    await send(addresses, opening)
    async with stub_of(second) as stub:
        for account in accounts:
            await balance_becomes(stub, account, available=0, held=TASKS_EACH, settled=0)
        sending = asyncio.create_task(send(addresses, ends))
        first.kill()
        await sending
        await send(addresses, ends[::3])
        half = TASKS_EACH // 2
        for account in accounts:
            await balance_becomes(stub, account, available=half, held=0, settled=half)
    await _check_books(addresses, accounts)
    await _check_view_is_built_again(addresses, accounts[0])


async def _check_books(addresses: Addresses, accounts: list[str]) -> None:
    for account in accounts:
        entries = await read(addresses, ACCOUNTS.name, account, 1 + 2 * TASKS_EACH)
        assert len({entry["entry_id"] for entry in entries}) == len(entries)
        available = sum(
            posting["amount_micro"]
            for entry in entries
            for posting in entry["postings"]
            if posting["account"] == f"customer:{account}:available"
        )
        assert available == TASKS_EACH // 2 * CREDIT
        tasks = await read(addresses, TASKS.name, account, 2 * TASKS_EACH)
        bills = [task for task in tasks if task["type"] == "task.settled"]
        assert len({bill["task_id"] for bill in bills}) == len(bills) == TASKS_EACH
        numbers = sorted(int(entry["sequence"]) for entry in [*entries, *tasks])
        assert numbers == list(range(1, len(numbers) + 1))


async def _check_view_is_built_again(addresses: Addresses, account: str) -> None:
    client: AsyncIOMotorClient = AsyncIOMotorClient(addresses.mongo_uri, tz_aware=True)
    try:
        database = client[DATABASE]
        store = MongoJournalStore(database)
        for shard in range(SHARDS):
            assert verify_chain(await store.blocks_after(str(shard), 0)) is None
        view = EntryView(database, shards=SHARDS)
        before = await view.page(account, limit=100, before=None)
        await database["entries"].delete_many({})
        await database["entries_read_to"].delete_many({})
        assert await view.page(account, limit=100, before=None) == before
        assert len(before) == 1 + 2 * TASKS_EACH
    finally:
        client.close()


@pytest.mark.one_bus
async def test_statement_reaches_across_owners(addresses: Addresses, ledgers: list[LedgerProcess]) -> None:
    account = "acct_across"
    for ledger in ledgers:
        await ledger.wait_ready()
    await send(addresses, [grant(account, 3), reserve(account, 1, 2)])
    for ledger in ledgers:
        async with stub_of(ledger) as stub:
            await balance_becomes(stub, account, available=1, held=2, settled=0)
            page = await stub.Statement(pb.StatementRequest(account_id=account), timeout=5)
            assert [entry.kind for entry in page.entries] == ["reserve", "grant"]

"""Decisions per second: the journal, a guarded update plus entry, and a multi-document transaction, on one server.

Each keeps the same promise: a balance never goes below zero, an input counts once, and what happened can be read later.
The bus is in memory for all three, so that only the ways to write differ. They take turns in one run.
The others update by ``update_one``: the embedded database reads its whole collection for ``find_one_and_update``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from typing import Any, Literal, TypeAlias

from pymongo.errors import PyMongoError
from rich.progress import track

from tests.bench.processes import cpu_s
from tests.bench.report import Report
from tests.support.fakes.memory_journal import MemoryBus
from tests.support.servers.stack import running_stack
from winnow.adapters.mongo import Mongo
from winnow.contracts.decider import Decider, Tick
from winnow.contracts.envelope import Event, Message
from winnow.eventstore import Input, Journal, MongoJournalStore
from winnow.local.stack import EmbeddedStack
from winnow.runtime.clock import SystemClock

SHARDS = 4
BALANCE = 10**12
AT_ONCE = 500
_NUMBERS = count()
Write: TypeAlias = Callable[[str, str], Awaitable[None]]
"""Decides one input of an aggregate and returns when it is committed."""

Way: TypeAlias = Callable[[Mongo, Sequence[str]], AbstractAsyncContextManager[Write]]
"""Prepares for these aggregates, outside what is timed."""


class Spent(Event):
    """An amount left an account."""

    type: Literal["bench.spent"] = "bench.spent"
    version: Literal[1] = 1
    amount: int


@dataclass(frozen=True, slots=True)
class Account:
    """A balance."""

    balance: int = BALANCE


def _spend(state: Account, message: object, now: datetime) -> Sequence[Message]:
    """Spend 1 while the balance suffices."""
    del now
    return [] if isinstance(message, Tick) or state.balance < 1 else [Spent(amount=1)]


SPENDER = Decider(
    producer="bench",
    state_type=Account,
    state_version=1,
    private_events=(Spent,),
    initial=lambda _: Account(),
    decide=_spend,
    evolve=lambda state, event, _: (
        Account(state.balance - event.amount) if isinstance(event, Spent) else state
    ),
    is_final=lambda _: False,
)


@contextlib.asynccontextmanager
async def journal(mongo: Mongo, aggregates: Sequence[str]) -> AsyncIterator[Write]:
    """Submit to the journal; those who wait at the same time share a block."""
    store = MongoJournalStore(mongo.database, prefix=f"run{next(_NUMBERS)}_")
    await store.prepare()
    ours = Journal(SPENDER, store, MemoryBus(), SystemClock(), shards=SHARDS)
    ours.assign(str(shard) for shard in range(SHARDS))
    running = asyncio.create_task(ours.run())

    async def write(aggregate: str, input_id: str) -> None:
        await ours.submit(Input(aggregate, input_id, "spend", input_id))

    try:
        yield write
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


@contextlib.asynccontextmanager
async def guarded_update(mongo: Mongo, aggregates: Sequence[str]) -> AsyncIterator[Write]:
    """Insert the entry under the input's id, then take from the balance if it suffices."""
    balances, entries = await _collections(mongo, aggregates)

    async def write(aggregate: str, input_id: str) -> None:
        await entries.insert_one(_entry(aggregate, input_id))
        done = await balances.update_one(
            {"_id": aggregate, "balance": {"$gte": 1}}, {"$inc": {"balance": -1}}
        )
        assert done.modified_count == 1

    yield write


@contextlib.asynccontextmanager
async def transaction(mongo: Mongo, aggregates: Sequence[str]) -> AsyncIterator[Write]:
    """Do both in one transaction, and again when the server says that it lost a race."""
    balances, entries = await _collections(mongo, aggregates)

    async def attempt(aggregate: str, input_id: str) -> bool:
        async with await mongo.database.client.start_session() as session:
            try:
                async with session.start_transaction():
                    await entries.insert_one(_entry(aggregate, input_id), session=session)
                    done = await balances.update_one(
                        {"_id": aggregate, "balance": {"$gte": 1}}, {"$inc": {"balance": -1}}, session=session
                    )
                    assert done.modified_count == 1
            except PyMongoError as error:
                if not error.has_error_label("TransientTransactionError"):
                    raise
                return False
        return True

    async def write(aggregate: str, input_id: str) -> None:
        while not await attempt(aggregate, input_id):
            await asyncio.sleep(0)

    yield write


async def _collections(mongo: Mongo, aggregates: Sequence[str]) -> tuple[Any, Any]:
    run = next(_NUMBERS)
    balances, entries = mongo.database[f"balances{run}"], mongo.database[f"entries{run}"]
    await balances.insert_many([{"_id": aggregate, "balance": BALANCE} for aggregate in aggregates])
    # A transaction cannot create its collection everywhere.
    await entries.insert_one({"_id": "first"})
    return balances, entries


def _entry(aggregate: str, input_id: str) -> dict[str, Any]:
    return {"_id": input_id, "account": aggregate, "amount": 1, "at": datetime.now(UTC)}


@dataclass(frozen=True, slots=True)
class Contender:
    """A way to write, its share of the load (1/n, for it to end in time) and its best number of callers."""

    way: Way
    share: int
    at_once: int


CONTENDERS: dict[str, Contender] = {
    "journal": Contender(journal, 1, AT_ONCE),
    "guarded update and entry": Contender(guarded_update, 10, 64),
    # More callers only lose more races.
    "transaction": Contender(transaction, 50, 8),
}


async def timed(
    stack: EmbeddedStack, contender: Contender, inputs: Sequence[tuple[str, str]], aggregates: Sequence[str]
) -> tuple[float, float]:
    """Run one way; return decisions a second and the CPU of both ends in microseconds a decision."""
    server = {"server": next(each.pid for each in stack.processes if each.name == "SecantusDB")}
    mongo = Mongo(stack.addresses.mongo_uri, "bench_journal")
    gate = asyncio.Semaphore(contender.at_once)
    try:
        async with contender.way(mongo, aggregates) as write:

            async def gated(aggregate: str, input_id: str) -> None:
                async with gate:
                    await write(aggregate, input_id)

            before_s, started_s = cpu_s(server)["server"] + time.process_time(), time.perf_counter()
            await asyncio.gather(*(gated(*input_) for input_ in inputs))
            took_s = time.perf_counter() - started_s
            spent_s = cpu_s(server)["server"] + time.process_time() - before_s
    finally:
        mongo.close()
    return len(inputs) / took_s, spent_s / len(inputs) * 1e6


def main() -> None:
    """Take turns, report medians with their spread."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decisions", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    report = Report("journal")
    with running_stack() as stack:
        for label, wanted in (("1 aggregate", 1), ("10,000 aggregates", 10_000)):
            aggregates = [f"a{number}" for number in range(wanted)]
            rates: dict[str, list[float]] = {name: [] for name in CONTENDERS}
            spent: dict[str, list[float]] = {name: [] for name in CONTENDERS}
            for _ in track(range(given.rounds), description=label):
                for name, contender in CONTENDERS.items():
                    decisions = max(20, given.decisions // contender.share)
                    inputs = [(aggregates[number % wanted], f"c{number}") for number in range(decisions)]
                    rate, cpu_us = asyncio.run(timed(stack, contender, inputs, aggregates))
                    rates[name].append(rate)
                    spent[name].append(cpu_us)
            for name in CONTENDERS:
                report.add_sample(f"{name}, {label}", rates[name], "decisions/s")
                report.add_sample(f"{name}, {label}: CPU of both ends", spent[name], "us each")
            ours = statistics.median(rates["journal"])
            for name in list(CONTENDERS)[1:]:
                ratio = ours / statistics.median(rates[name])
                report.add(f"journal to {name}, {label}", ratio, "times", at_least=1)
    report.close()


if __name__ == "__main__":
    main()

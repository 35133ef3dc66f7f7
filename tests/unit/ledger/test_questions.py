"""The questions, asked over gRPC on loopback: quotes, balances, statements, and what is refused."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import grpc
import grpc.aio
import pytest

from services.ledger import rpc
from services.ledger.app import STATEMENT_MAX, Ledger
from services.ledger.domain.account import Account
from services.ledger.domain.books import StatementEntry
from services.ledger.store.prices import read_prices
from tests.support.clock import SetClock
from tests.support.refusals import code_of
from tests.unit.ledger.books import Books
from tests.unit.ledger.builders import ACCOUNT, START, grant, refund, reserve, settle, task
from winnow.contracts.errors import Unavailable
from winnow.contracts.events import EntryRecorded
from winnow.rpc.ledger.v1 import ledger_pb2 as pb
from winnow.rpc.ledger.v1 import ledger_pb2_grpc


class Kept:
    """The accounts and entries of some books; ``answers`` off plays a store that is gone."""

    def __init__(self, books: Books) -> None:
        self.books = books
        self.answers = True

    async def read_state(self, aggregate_id: str) -> Account | None:
        return self.books.account if aggregate_id == ACCOUNT else None

    async def page(self, account_id: str, *, limit: int, before: int | None) -> Sequence[StatementEntry]:
        if not self.answers:
            detail = "the store of the entries does not answer"
            raise Unavailable(detail)
        entries = [(at, entry) for at, entry in self.books.log if isinstance(entry, EntryRecorded)]
        found = [
            StatementEntry(place, at, entry)
            for place, (at, entry) in enumerate(entries)
            if entry.account_id == account_id and (before is None or place < before)
        ]
        return found[::-1][:limit]

    async def newest(self, account_id: str, *, limit: int, after: str) -> Sequence[StatementEntry]:
        found = await self.page(account_id, limit=1_000, before=None)
        ids = [listed.entry.entry_id for listed in found]
        if after and after not in ids:
            return []
        return found[ids.index(after) + 1 if after else 0 :][:limit]

    async def of_task(self, account_id: str, task_id: str) -> Sequence[StatementEntry]:
        found = await self.page(account_id, limit=1_000, before=None)
        return [listed for listed in found[::-1] if listed.entry.task_id == task_id]

    async def find(self, account_id: str, entry_id: str) -> StatementEntry | None:
        found = await self.page(account_id, limit=1_000, before=None)
        return next((listed for listed in found if listed.entry.entry_id == entry_id), None)


@asynccontextmanager
async def asking(kept: Kept) -> AsyncIterator[Any]:
    server = grpc.aio.server()
    rpc.register(Ledger(kept, kept, read_prices(), SetClock(kept.books.now)))(server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield ledger_pb2_grpc.LedgerServiceStub(channel)
    finally:
        await server.stop(None)


def lived_in() -> Books:
    books = Books()
    books.do(grant("a", 100, source="promo", expires_at=START + timedelta(days=2)))
    books.do(grant("b", 1000))
    books.do(reserve(1, 300))
    books.do(reserve(2, 50))
    books.do(settle(1, 200))
    books.do(refund(1, 30))
    return books


async def test_balance_is_what_the_entries_say() -> None:
    books = lived_in()
    async with asking(Kept(books)) as stub:
        answer = await stub.Balance(pb.BalanceRequest(account_id=ACCOUNT), timeout=5)
    last = books.all(EntryRecorded)[-1]
    assert answer.available_credits_micro == last.available_credits_micro == 880
    assert answer.held_credits_micro == last.held_credits_micro == 50
    assert answer.settled_credits_micro == 170
    assert sum(left.left_credits_micro for left in answer.grants) == 880


async def test_balance_leaves_out_a_grant_that_expired_a_moment_ago() -> None:
    books = Books()
    books.do(grant("a", 100, expires_at=START + timedelta(days=2)))
    books.pass_time(timedelta(days=2))
    async with asking(Kept(books)) as stub:
        answer = await stub.Balance(pb.BalanceRequest(account_id=ACCOUNT), timeout=5)
    assert (answer.available_credits_micro, len(answer.grants)) == (0, 0)


async def test_account_without_an_entry_has_nothing() -> None:
    async with asking(Kept(lived_in())) as stub:
        answer = await stub.Balance(pb.BalanceRequest(account_id="acct_nobody"), timeout=5)
        page = await stub.Statement(pb.StatementRequest(account_id="acct_nobody"), timeout=5)
    assert (answer.available_credits_micro, len(answer.grants), len(page.entries)) == (0, 0, 0)


@pytest.mark.parametrize("limit", [1, 2, 3, 5, 6, 7, 0, STATEMENT_MAX + 1])
async def test_statement_pages_cover_every_entry_once_newest_first(limit: int) -> None:
    books = lived_in()
    seen: list[str] = []
    cursor = ""
    async with asking(Kept(books)) as stub:
        while True:
            page = await stub.Statement(
                pb.StatementRequest(account_id=ACCOUNT, limit=limit, cursor=cursor), timeout=5
            )
            seen += [entry.entry_id for entry in page.entries]
            cursor = page.next_cursor
            if not cursor:
                break
            assert len(page.entries) == limit
    assert seen == [event.entry_id for event in reversed(books.all(EntryRecorded))]


async def test_statement_shows_the_postings_of_an_entry() -> None:
    async with asking(Kept(lived_in())) as stub:
        page = await stub.Statement(pb.StatementRequest(account_id=ACCOUNT, limit=2), timeout=5)
    refunded, settled = page.entries
    assert (refunded.kind, refunded.amount_credits_micro, refunded.reason) == ("refund", 30, "complaint")
    assert (settled.kind, settled.task_id) == ("settle", task(1))
    assert sorted(posting.amount_micro for posting in settled.postings) == [-300, 100, 200]
    assert settled.occurred_at == START.isoformat()


async def test_entries_are_listed_found_and_told_by_task() -> None:
    books = lived_in()
    async with asking(Kept(books)) as stub:
        pages = [await stub.ListEntries(pb.ListEntriesRequest(account_id=ACCOUNT, limit=4), timeout=5)]
        last = pages[0].entries[-1].entry_id
        pages += [
            await stub.ListEntries(pb.ListEntriesRequest(account_id=ACCOUNT, after_entry_id=last), timeout=5)
        ]
        of_task = await stub.ListTaskEntries(
            pb.ListTaskEntriesRequest(account_id=ACCOUNT, task_id=task(1)), timeout=5
        )
        granted = books.all(EntryRecorded)[0]
        by_grant = await stub.FindEntry(
            pb.FindEntryRequest(account_id=ACCOUNT, grant_id=granted.grant_id), timeout=5
        )
        by_id = await stub.FindEntry(pb.FindEntryRequest(account_id=ACCOUNT, entry_id=last), timeout=5)
        none = await stub.FindEntry(pb.FindEntryRequest(account_id=ACCOUNT, entry_id="ent_x"), timeout=5)
        after_none = await stub.ListEntries(
            pb.ListEntriesRequest(account_id=ACCOUNT, after_entry_id="ent_x"), timeout=5
        )
    newest = [event.entry_id for event in reversed(books.all(EntryRecorded))]
    assert [entry.entry_id for page in pages for entry in page.entries] == newest
    assert [entry.kind for entry in of_task.entries] == ["reserve", "settle", "refund"]
    assert (by_grant.entry.entry_id, by_grant.entry.grant_id) == (granted.entry_id, granted.grant_id)
    assert by_id.entry.entry_id == last
    assert not none.HasField("entry")
    assert not after_none.entries


@pytest.mark.parametrize("account_id", ["", "acct_", "mila", "acct_Mila", "acct_a/../b", "acct_" + "a" * 64])
async def test_malformed_account_is_refused(account_id: str) -> None:
    async with asking(Kept(lived_in())) as stub:
        for ask in (
            lambda: stub.Balance(pb.BalanceRequest(account_id=account_id), timeout=5),
            lambda: stub.Statement(pb.StatementRequest(account_id=account_id), timeout=5),
            lambda: stub.ListEntries(pb.ListEntriesRequest(account_id=account_id), timeout=5),
            lambda: stub.ListTaskEntries(pb.ListTaskEntriesRequest(account_id=account_id), timeout=5),
            lambda: stub.FindEntry(pb.FindEntryRequest(account_id=account_id), timeout=5),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await ask()
            assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("cursor", ["x", "-1", "1.5", "9" * 19, "٣"])
async def test_malformed_cursor_is_refused(cursor: str) -> None:
    async with asking(Kept(lived_in())) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Statement(pb.StatementRequest(account_id=ACCOUNT, cursor=cursor), timeout=5)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert code_of(refused.value) == "invalid_request"


async def test_statement_says_that_its_store_is_away() -> None:
    kept = Kept(lived_in())
    kept.answers = False
    async with asking(kept) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as away:
            await stub.Statement(pb.StatementRequest(account_id=ACCOUNT), timeout=5)
    assert away.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"mode": "psychic"}, "unknown_mode"),
        ({"k": 0}, "out_of_bounds"),
        ({"template": ""}, "invalid_request"),
    ],
)
async def test_quote_that_cannot_be_given_names_its_code(asked: dict[str, Any], code: str) -> None:
    order: dict[str, Any] = {"template": "studio_headshot", "template_version": 1, "mode": "stable", "k": 3}
    async with asking(Kept(lived_in())) as stub:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await stub.Quote(pb.QuoteRequest(**order | asked), timeout=5)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert code_of(refused.value) == code


async def test_quote_reserves_k_times_the_price() -> None:
    async with asking(Kept(lived_in())) as stub:
        answer = await stub.Quote(
            pb.QuoteRequest(template="product_shot", template_version=1, mode="fast", k=7), timeout=5
        )
    assert answer.price_per_output_credits_micro > 0
    assert answer.reserve_credits_micro == 7 * answer.price_per_output_credits_micro
    assert answer.price_rule == "prices.v1/product_shot/fast"

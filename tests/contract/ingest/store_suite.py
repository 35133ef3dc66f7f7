"""Promises of ingest's stores, for the fakes in memory and the real ones alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from services.ingest.domain.answers import Hint, RefundRefusal, ScreenedInput
from services.ingest.domain.keys import KeyRecord, Scope
from services.ingest.domain.task_projection import Page
from services.ingest.domain.task_row import BatchRows, TaskRow, fold_row
from tests.unit.ingest.events import Tale
from winnow.contracts.envelope import Envelope, RecordedMessage
from winnow.contracts.events import TaskAccepted
from winnow.contracts.ids import Prefix, derive_id
from winnow.contracts.values import Mode, ProfileRef, StoredObject, TemplateRef

START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Stores:
    """The stores under test; the views may be one object for both sides."""

    keys: Any
    inputs: Any
    views: Any
    writer: Any


def accepted(tale: Tale, at: datetime) -> RecordedMessage[Any]:
    event = TaskAccepted(
        **tale.ids,
        template=TemplateRef(name="studio_headshot", version=1),
        mode=Mode.low_cost,
        profile=ProfileRef(name="headshot", version=1),
        k=2,
        request=tale.stored("request"),
        request_sha256="a" * 64,
        width=64,
        height=64,
        reservation_id=tale.reservation_id,
        price_per_output_credits_micro=2,
        reserve_credits_micro=4,
        price_rule="test@1",
        cost_cap_usd_micro=9,
        deadline_at=at + timedelta(hours=1),
    )
    return recorded(event, "ingest-api", 1, at)


def recorded(event: Any, producer: str, sequence: int, at: datetime) -> RecordedMessage[Any]:
    envelope = Envelope(
        event_id=derive_id(Prefix.event, event.task_id, producer, event.type, sequence),
        occurred_at=at,
        producer=producer,
        subject=event.task_id,
        sequence=sequence,
        correlation_id="req_test",
        causation_id="test",
    )
    return RecordedMessage(envelope, event)


def history(tale: Tale, at: datetime = START, count: int | None = None) -> list[BatchRows]:
    """Return what each record of a task changes, one by one."""
    records = [accepted(tale, at)]
    records += [
        recorded(event, producer, number, at) for number, (producer, event) in enumerate(tale.whole(), 1)
    ]
    return folded(records[:count])


def folded(records: Sequence[RecordedMessage[Any]]) -> list[BatchRows]:
    """Return what each record changes, one by one; the offset of a record is its place."""
    row: TaskRow | None = None
    steps = []
    for offset, record in enumerate(records):
        change = fold_row(row, record, offset)
        row = change.row
        events = [change.events] if change.events else []
        steps.append(BatchRows({row.view.task_id: row}, events, change.segments))
    return steps


def task_named(name: str, account_id: str) -> Tale:
    return Tale(derive_id(Prefix.task, name), account_id)


class StoreSuite:
    """Every test takes ``stores`` and an account of its own."""

    async def test_a_view_reads_back_whole_and_only_for_its_account(self, stores: Stores, account: str):
        tale = task_named("whole", account)
        steps = history(tale)
        for step in steps:
            assert await stores.writer.save(step) == set()
        task_id = tale.ids["task_id"]
        row = steps[-1].rows[task_id]
        last = row.view
        assert await stores.views.task(account, task_id) == last
        assert await stores.views.task("acct_stranger", task_id) is None
        assert await stores.views.task_anywhere(task_id) == last
        assert (await stores.writer.load([task_id, "task_none"])) == {task_id: row}

    async def test_an_older_writer_changes_nothing(self, stores: Stores, account: str):
        tale = task_named("older", account)
        steps = history(tale)
        for step in steps:
            await stores.writer.save(step)
        page = Page(None, 10)
        before = await stores.views.candidates(account, tale.ids["task_id"], page)
        for step in steps:
            assert await stores.writer.save(step) == {tale.ids["task_id"]}
        assert (
            await stores.views.task(account, tale.ids["task_id"]) == steps[-1].rows[tale.ids["task_id"]].view
        )
        after = await stores.views.candidates(account, tale.ids["task_id"], page)
        assert (
            [candidate["state"] for candidate in after]
            == [candidate["state"] for candidate in before]
            == ["delivered", "rejected"]
        )
        events = await stores.views.events(account, tale.ids["task_id"], 0, 100)
        assert [event.number for event in events] == list(range(1, len(steps) + 1))

    async def test_a_view_that_is_wrongly_taken_for_new_is_written_as_any_other(
        self, stores: Stores, account: str
    ):
        tale = task_named("new", account)
        task_id = tale.ids["task_id"]
        steps = [replace(step, new=frozenset(step.rows)) for step in history(tale)]
        for step in steps:
            assert await stores.writer.save(step) == set()
            assert await stores.views.task(account, task_id) == step.rows[task_id].view
        rows = await stores.views.candidates(account, task_id, Page(None, 10))
        assert [row["state"] for row in rows] == ["delivered", "rejected"]
        for step in steps:
            assert await stores.writer.save(step) == {task_id}
        assert await stores.views.task(account, task_id) == steps[-1].rows[task_id].view
        assert await stores.views.candidates(account, task_id, Page(None, 10)) == rows

    async def test_candidates_read_back_in_order_with_their_measures(self, stores: Stores, account: str):
        tale = task_named("candidates", account)
        for step in history(tale):
            await stores.writer.save(step)
        task_id = tale.ids["task_id"]
        rows = await stores.views.candidates(account, task_id, Page(None, 10))
        assert [row["candidate_id"] for row in rows] == [tale.first, tale.second]
        assert rows[1]["dimensions"][0]["evidence"] == {"laplacian.variance": 1.5}
        assert rows[1]["reasons"] == ["sharpness"]
        after = await stores.views.candidates(account, task_id, Page((rows[0]["place"], ""), 10))
        assert [candidate["candidate_id"] for candidate in after] == [tale.second]
        rejected = await stores.views.candidates(account, task_id, Page(None, 10, "rejected"))
        assert [candidate["candidate_id"] for candidate in rejected] == [tale.second]
        assert await stores.views.candidates("acct_stranger", task_id, Page(None, 10)) == []
        candidate = await stores.views.candidate(account, task_id, tale.first)
        assert candidate is not None
        assert candidate["stored"]["key"] == f"candidates/{tale.first}"
        assert await stores.views.candidate("acct_stranger", task_id, tale.first) is None

    async def test_events_come_in_order_after_a_number(self, stores: Stores, account: str):
        tale = task_named("events", account)
        steps = history(tale)
        for step in steps:
            await stores.writer.save(step)
        (row,) = steps[-1].rows.values()
        events = await stores.views.events(account, tale.ids["task_id"], 3, 2)
        assert events == list(row.events[3:5])
        assert await stores.views.events(account, tale.ids["task_id"], len(steps), 10) == []
        assert await stores.views.events("acct_stranger", tale.ids["task_id"], 0, 10) == []

    async def test_tasks_are_paged_newest_first(self, stores: Stores, account: str):
        tales = [task_named(f"page {number}", account) for number in range(5)]
        for number, tale in enumerate(tales):
            # Two of them at the same instant, so that the tie is broken by the id.
            at = START + timedelta(seconds=min(number, 3))
            await stores.writer.save(history(tale, at, 1)[0])
        found: list[str] = []
        after = None
        while page := await stores.views.tasks(account, Page(after, 2)):
            found += [view.task_id for view in page]
            last = page[-1]
            assert last.terms is not None
            after = (int(last.terms.accepted_at.timestamp() * 1_000_000), last.task_id)
        ids = [tale.ids["task_id"] for tale in tales]
        assert found == [*sorted(ids[3:], reverse=True), ids[2], ids[1], ids[0]]
        assert len(await stores.views.tasks(account, Page(None, 10, "accepted"))) == 5
        assert await stores.views.tasks(account, Page(None, 10, "delivered")) == []

    async def test_a_task_whose_acceptance_is_not_known_yet_is_not_listed(self, stores: Stores, account: str):
        tale = task_named("early", account)
        (step,) = folded([recorded(tale.funded(), "ledger", 1, START)])
        await stores.writer.save(step)
        assert [
            task for task in await stores.views.tasks(account, Page(None, 10)) if task.terms is None
        ] == []

    async def test_a_refund_is_found_by_its_account_only_and_its_refusal_stays(
        self, stores: Stores, account: str
    ):
        refund_id = derive_id(Prefix.command, account)
        refusal = RefundRefusal(
            refund_id=refund_id,
            account_id=account,
            task_id=derive_id(Prefix.task, account),
            amount_credits_micro=7,
            code="amount_not_allowed",
            reason="more than is left of the charge",
            decided_at=START,
        )
        assert await stores.views.refund_refusal(account, refund_id) is None
        await stores.writer.save_refusals([refusal])
        await stores.writer.save_refusals([replace(refusal, amount_credits_micro=99)])
        assert await stores.views.refund_refusal(account, refund_id) == refusal
        assert await stores.views.refund_refusal("acct_stranger", refund_id) is None

    async def test_a_key_reads_back_and_its_first_revocation_stays(self, stores: Stores, account: str):
        record = KeyRecord(
            key_id=f"k-{account}",
            digest="d",
            account_id=account,
            scopes=frozenset({Scope.admin, Scope.tasks_read}),
            label="mine",
            created_at=START,
            expires_at=START + timedelta(days=1),
        )
        await stores.keys.add(record)
        assert await stores.keys.find(record.key_id) == record
        assert await stores.keys.list(account) == [record]
        assert record in await stores.keys.list(None)
        assert await stores.keys.revoke(record.key_id, START)
        assert await stores.keys.revoke(record.key_id, START + timedelta(days=9))
        assert (await stores.keys.find(record.key_id)).revoked_at == START
        assert not await stores.keys.revoke("nothing", START)
        assert await stores.keys.find("nothing") is None

    async def test_inputs_are_found_by_their_account_only(self, stores: Stores, account: str):
        stored = StoredObject(bucket="b", key="k", sha256="a" * 64, size_bytes=1, content_type="image/png")
        hint = Hint("no_face", 0.0, 1.0, "faces", "no face was found")
        screened = ScreenedInput(
            derive_id(Prefix.input, account), account, stored, ("no_face",), START, (hint,)
        )
        await stores.inputs.add(screened)
        await stores.inputs.add(replace(screened, advice=()))
        assert await stores.inputs.find(account, [screened.input_id, "inp_x"]) == {
            screened.input_id: screened
        }
        assert await stores.inputs.find("acct_stranger", [screened.input_id]) == {}

"""The writer of the read model: folds batches of the record, in order, each record once."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

from services.ingest.app.notifier import Notifier
from services.ingest.app.ports import ViewStore
from services.ingest.app.shared_save import SharedSave
from services.ingest.domain.answers import RefundRefusal
from services.ingest.domain.task_projection import PublicEvent
from services.ingest.domain.task_row import BatchRows, CandidateSegment, TaskRow, fold_row, merged
from winnow.contracts.envelope import RecordedMessage
from winnow.contracts.events import EntryRecorded, RefundRefused, TaskEvent
from winnow.runtime.coalescer import Coalescer

_HELD_MAX: Final = 5_000


@dataclass(frozen=True, slots=True)
class Fault:
    """A record that cannot be folded, and why."""

    offset: int
    error: Exception


class Projection:
    """Folds records into rows. Doing a batch again changes nothing."""

    def __init__(self, store: ViewStore, notifier: Notifier) -> None:
        """Hold open rows in memory while their partition is ours."""
        self._store = store
        self._notifier = notifier
        self._held: dict[int, dict[str, TaskRow]] = {}
        self._loads: Coalescer[Sequence[str], dict[str, TaskRow]] = Coalescer(self._load)
        self._saves = SharedSave(store.save)

    def forget(self, partition: int) -> None:
        """Drop what is held of a partition that came or went."""
        self._held.pop(partition, None)

    def expected(self) -> AbstractContextManager[None]:
        """Announce that a partition may bring records, so that a save waits a little for them."""
        return self._saves.expected()

    async def fold_tasks(
        self, partition: int, records: Sequence[tuple[int, RecordedMessage[TaskEvent]]]
    ) -> Fault | None:
        """Fold the task events of one partition, given with their offsets in order.

        A record that cannot be folded ends the batch. The records before it are kept and its place is
        returned, so that one record cannot stop the partition for ever.
        """
        if not records:
            return None
        held = self._held.setdefault(partition, {})
        try:
            fault = await self._fold(held, records)
        except BaseException:
            self.forget(partition)
            raise
        if fault is not None or len(held) > _HELD_MAX:
            self.forget(partition)
        return fault

    async def _fold(
        self, held: dict[str, TaskRow], records: Sequence[tuple[int, RecordedMessage[TaskEvent]]]
    ) -> Fault | None:
        fault = None
        task_ids = dict.fromkeys(recorded.message.task_id for _, recorded in records)
        missing = [task_id for task_id in task_ids if task_id not in held]
        rows = {task_id: held[task_id] for task_id in task_ids if task_id in held}
        if missing:
            stored = await self._loads.ask(missing)
            rows |= {task_id: stored[task_id] for task_id in missing if task_id in stored}
        new = frozenset(task_ids) - rows.keys()
        changed: dict[str, TaskRow] = {}
        events: list[tuple[PublicEvent, ...]] = []
        segments: dict[tuple[str, int], CandidateSegment] = {}
        for offset, recorded in records:
            task_id = recorded.message.task_id
            try:
                change = fold_row(rows.get(task_id), recorded, offset)
            except Exception as error:  # noqa: BLE001 (counted and dead-lettered by the bus)
                fault = Fault(offset, error)
                break
            if rows.get(task_id) is not change.row:
                rows[task_id] = changed[task_id] = change.row
            if change.events:
                events.append(change.events)
            for segment in change.segments:
                place = (task_id, segment.first)
                segments[place] = merged(segments.get(place), segment)
        newer = await self._save(BatchRows(changed, events, [*segments.values()], new & changed.keys()))
        for task_id, row in rows.items():
            if row.view.complete or task_id in newer:
                held.pop(task_id, None)
            else:
                held[task_id] = row
        self._notifier.changed(changed)
        return fault

    async def _load(self, asked: Sequence[Sequence[str]]) -> dict[str, TaskRow]:
        return await self._store.load([task_id for task_ids in asked for task_id in task_ids])

    async def _save(self, batch: BatchRows) -> set[str]:
        if not batch.rows:
            return set()
        return await self._saves.save(batch, at_once=self._notifier.is_followed(batch.rows))

    def announce_entries(self, records: Sequence[tuple[int, RecordedMessage[EntryRecorded]]]) -> None:
        """Wake those who wait for an entry of an account; the ledger keeps it."""
        self._notifier.changed({recorded.message.account_id for _, recorded in records})

    async def keep_refusals(self, records: Sequence[tuple[int, RecordedMessage[RefundRefused]]]) -> None:
        """Keep the refunds that the ledger refused."""
        if not records:
            return
        refusals = [_refusal(recorded) for _, recorded in records]
        await self._store.save_refusals(refusals)
        self._notifier.changed({refusal.account_id for refusal in refusals})


def _refusal(recorded: RecordedMessage[RefundRefused]) -> RefundRefusal:
    refused = recorded.message
    return RefundRefusal(
        refund_id=refused.refund_id,
        account_id=refused.account_id,
        task_id=refused.task_id,
        amount_credits_micro=refused.amount_credits_micro,
        code=refused.code.value,
        reason=refused.reason,
        decided_at=recorded.envelope.occurred_at,
    )

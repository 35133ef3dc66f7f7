"""The view of entries follows the journal; counters follow the same commits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from typing import Any, Final, Protocol

from prometheus_client import Counter

from winnow.contracts.envelope import Message, RecordedMessage
from winnow.contracts.events import EntryRecorded, TaskUnfunded
from winnow.eventstore import Block
from winnow.runtime.backoff import Backoff
from winnow.runtime.log import get_logger

_log = get_logger(__name__)
LINGER_S: Final = 0.5
"""Time for which committed blocks wait for others, to be kept in one write. A statement reads the journal for them."""
WAITING_MAX: Final = 1_000
"""Blocks in memory that wait for the view; more of them are read back from the journal."""
_BACKOFF_FIRST_S: Final = 0.5
_BACKOFF_MAX_S: Final = 5.0

ENTRIES = Counter("winnow_ledger_entries_total", "Entries of the books, by kind.", ["kind"])
MOVED = Counter(
    "winnow_ledger_moved_credits_micro_total", "Micro-credits that entries moved, by kind.", ["kind"]
)
UNFUNDED = Counter("winnow_ledger_unfunded_total", "Reservations refused, by code.", ["code"])


class View(Protocol):
    """The view of entries."""

    async def add(self, blocks: Sequence[Block]) -> set[str]:
        """Keep the entries of committed blocks; return the shards that lack an earlier block."""
        ...

    async def catch_up(self, shard: str) -> int:
        """Read what the shard's journal has since."""
        ...

    async def note(self) -> None:
        """Note how far each shard is kept."""
        ...


class EntryFeed:
    """Listens to the journal: counts, and hands committed blocks to the view.

    A shard is read back from the journal after it was loaded, after a failure, and where a block is missing.
    """

    def __init__(self, view: View) -> None:
        """Feed a view."""
        self._view = view
        self._waiting: list[Block] = []
        self._behind: set[str] = set()
        self._wake = asyncio.Event()
        self._writing = asyncio.Lock()
        self._backoff: Backoff | None = None

    def committed(self, block: Block) -> None:
        """Take a block for the view."""
        if len(self._waiting) < WAITING_MAX:
            self._waiting.append(block)
        else:
            self._behind.add(block.shard)
        self._wake.set()

    def changed(self, aggregate_id: str, state: object, recorded: Sequence[RecordedMessage[Message]]) -> None:
        """Count a commit."""
        del aggregate_id, state
        for event in recorded:
            _count(event.message)

    def loaded(self, shard: str, states: Mapping[str, Any]) -> None:
        """Note a shard whose former owner may have died before its last blocks were kept."""
        del states
        self._behind.add(shard)
        self._wake.set()

    def unloaded(self, shard: str) -> None:
        """Do nothing: keeping what was committed is harmless."""

    async def run(self) -> None:
        """Bring the view up to date until cancelled; what failed is read back after a wait."""
        while True:
            await self._wake.wait()
            if not self._behind:
                await asyncio.sleep(LINGER_S)
            await self._write()
            if not self._behind:
                self._backoff = None
            elif self._backoff is not None:
                await asyncio.sleep(self._backoff.next_s())

    async def drain(self) -> None:
        """Keep what waits, and note how far the view is, so that the next start reads nothing again."""
        await self._write()
        await self._attempt(self._view.note(), ())

    async def _write(self) -> None:
        async with self._writing:
            self._wake.clear()
            waiting, self._waiting = self._waiting, []
            behind, self._behind = self._behind, set()
            for shard in sorted(behind):
                await self._attempt(self._view.catch_up(shard), [shard])
            if waiting:
                lacking = await self._attempt(self._view.add(waiting), {block.shard for block in waiting})
                self._read_back(lacking or ())

    async def _attempt(self, step: Awaitable[Any], shards: Iterable[str]) -> Any:
        """Take a step; its shards are read back when it fails."""
        try:
            return await step
        except Exception as error:  # noqa: BLE001 (a view; the journal is the truth)
            failed = sorted(shards)
            _log.warning("ledger.view.retried", shards=failed, error=type(error).__name__)
            # The replicas of the ledger keep different shards, so that their waits differ.
            self._backoff = self._backoff or Backoff(f"view:{failed}", _BACKOFF_FIRST_S, _BACKOFF_MAX_S)
            self._read_back(failed)
            return None

    def _read_back(self, shards: Iterable[str]) -> None:
        self._behind.update(shards)
        if self._behind:
            self._wake.set()


def _count(message: Message) -> None:
    match message:
        case EntryRecorded():
            ENTRIES.labels(message.kind.value).inc()
            MOVED.labels(message.kind.value).inc(message.amount_credits_micro)
        case TaskUnfunded():
            UNFUNDED.labels(message.code.value).inc()
        case _:
            pass

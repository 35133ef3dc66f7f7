"""The view of entries follows the journal; counters follow the same commits."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final, Protocol

from prometheus_client import Counter

from winnow.contracts.envelope import Message, RecordedMessage
from winnow.contracts.events import EntryRecorded, TaskUnfunded
from winnow.contracts.ids import shard_of
from winnow.runtime.backoff import Backoff
from winnow.runtime.log import get_logger

_log = get_logger(__name__)
_BACKOFF_FIRST_S: Final = 0.5
_BACKOFF_MAX_S: Final = 5.0

ENTRIES = Counter("winnow_ledger_entries_total", "Entries of the books, by kind.", ["kind"])
MOVED = Counter(
    "winnow_ledger_moved_credits_micro_total", "Micro-credits that entries moved, by kind.", ["kind"]
)
UNFUNDED = Counter("winnow_ledger_unfunded_total", "Reservations refused, by code.", ["code"])


class View(Protocol):
    """The view of entries."""

    async def catch_up(self, shard: str) -> int:
        """Read what the shard's journal has since."""
        ...


class EntryFeed:
    """Listens to the journal: counts, and notes which shards the view has to read again."""

    def __init__(self, view: View, *, shards: int) -> None:
        """Feed a view."""
        self._view = view
        self._shards = shards
        self._behind: set[str] = set()
        self._wake = asyncio.Event()

    def changed(self, aggregate_id: str, state: object, recorded: Sequence[RecordedMessage[Message]]) -> None:
        """Count a commit and note its shard."""
        del state
        for event in recorded:
            _count(event.message)
        self._note(str(shard_of(aggregate_id, self._shards)))

    def loaded(self, shard: str, states: Mapping[str, Any]) -> None:
        """Note a shard whose former owner may have died before it was read."""
        del states
        self._note(shard)

    def unloaded(self, shard: str) -> None:
        """Do nothing: reading on is harmless."""

    async def run(self) -> None:
        """Bring the view up to date until cancelled; a shard that failed is tried again after a wait."""
        backoff: Backoff | None = None
        while True:
            await self._wake.wait()
            self._wake.clear()
            behind, self._behind = self._behind, set()
            for shard in sorted(behind):
                try:
                    await self._view.catch_up(shard)
                except Exception as error:  # noqa: BLE001 (a view; the journal is the truth)
                    _log.warning("ledger.view.retried", shard=shard, error=type(error).__name__)
                    # The replicas of the ledger read different shards, so that their waits differ.
                    backoff = backoff or Backoff(f"view:{shard}", _BACKOFF_FIRST_S, _BACKOFF_MAX_S)
                    await asyncio.sleep(backoff.next_s())
                    self._note(shard)
                else:
                    backoff = None

    def _note(self, shard: str) -> None:
        self._behind.add(shard)
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

"""Objects, meter, journal and bus of a router in memory."""

from __future__ import annotations

from dataclasses import dataclass, field

from tests.support.fakes.memory_journal import MemoryBus, MemoryJournalStore
from winnow.contracts.errors import NotFound
from winnow.contracts.events import AttemptFinished


@dataclass
class MemoryObjects:
    files: dict[tuple[str, str], bytes] = field(default_factory=dict)

    async def get(self, bucket: str, key: str, max_bytes: int) -> bytes:
        if (bucket, key) not in self.files:
            raise NotFound("the object does not exist")
        return self.files[bucket, key]

    async def put(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        self.files[bucket, key] = body


class CountingMeter:
    def __init__(self) -> None:
        self.finished: list[AttemptFinished] = []
        self.crashes: list[Exception] = []

    def attempt_finished(self, event: AttemptFinished) -> None:
        self.finished.append(event)

    def attempt_crashed(self, attempt_id: str, error: Exception) -> None:
        self.crashes.append(error)


@dataclass
class RouterFakes:
    """Journal store, bus and objects that outlive a router: two routers on the same fakes play two owners."""

    store: MemoryJournalStore = field(default_factory=MemoryJournalStore)
    bus: MemoryBus = field(default_factory=MemoryBus)
    objects: MemoryObjects = field(default_factory=MemoryObjects)
    offsets: dict[int, int] = field(default_factory=dict)
    serial: int = 0

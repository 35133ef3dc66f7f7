"""A process of delivery over a journal in memory, whose own events come back to it as from the topic."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from services.delivery import bus
from services.delivery.app.delivery_log import DeliveryLog
from services.delivery.app.endpoint_register import EndpointRegister
from services.delivery.app.finishing import Finishing, FinishingLimits
from services.delivery.app.outputs import Outputs
from services.delivery.app.reconciler import Reconciler
from services.delivery.app.webhooks import Webhooks
from services.delivery.app.work import performed_by
from services.delivery.clients.images import ImageFinisher
from services.delivery.domain.decide import Policy, decider
from services.delivery.domain.messages import WebhookState
from services.delivery.domain.task import TaskDelivery
from tests.support.clock import SetClock
from tests.support.fakes.memory_journal import MemoryBus, MemoryJournalStore
from tests.unit.delivery.builders import NOW, candidate_id, image_bytes, selection, stored, task_id
from tests.unit.delivery.fakes import MemoryEndpoints, MemoryFiles, MemoryIndex, RecordingSender
from winnow.adapters.partitions import Source
from winnow.contracts.envelope import Envelope, Message, RecordedMessage
from winnow.contracts.events import TaskSelected
from winnow.contracts.ids import Prefix, derive_id, shard_of
from winnow.contracts.topics import MESSAGES, TASKS
from winnow.contracts.values import SelectedCandidate
from winnow.eventstore import Journal

SHARDS = 4
KEY = b"k" * 32


@dataclass
class DeliveryApp:
    """One process of delivery; two of them may share stores and bus."""

    clock: SetClock = field(default_factory=lambda: SetClock(NOW))
    journal_store: MemoryJournalStore = field(default_factory=MemoryJournalStore)
    bus: MemoryBus = field(default_factory=MemoryBus)
    files: MemoryFiles = field(default_factory=MemoryFiles)
    endpoints: MemoryEndpoints = field(default_factory=MemoryEndpoints)
    index: MemoryIndex = field(default_factory=MemoryIndex)
    sender: RecordingSender = field(default_factory=RecordingSender)
    within_s: float = 5.0
    at_once_max: int = 4
    offsets: dict[int, int] = field(default_factory=dict)
    pumped: int = 0
    killed: bool = False
    """A killed process ends without saving anything."""

    def __post_init__(self) -> None:
        self.images = ImageFinisher(threads=1, pixels_max=4_000_000, thumbnail_px=64)
        self.journal: Journal[TaskDelivery] = Journal(
            decider(Policy(schedule_s=(0, 5, 300))),
            self.journal_store,
            self.bus,
            self.clock,
            shards=SHARDS,
        )
        finishing = Finishing(
            self.journal,
            self.files,
            self.images,
            self.index,
            self.clock,
            limits=FinishingLimits(self.within_s, 10_000_000, self.at_once_max),
            outputs_bucket="outputs",
            name_key=KEY,
        )
        webhooks = Webhooks(
            self.journal,
            self.endpoints,
            self.index,
            self.sender,
            self.clock,
            signing_key=KEY,
            at_once_max=8,
            per_endpoint_max=2,
        )
        self.reconciler = Reconciler(performed_by(finishing, webhooks), shards=SHARDS)
        self.journal.listen(self.reconciler, on_decided=self.reconciler.decided)
        self.outputs = Outputs(
            self.journal,
            self.index,
            self.files,
            self.files,
            self.clock,
            retention_s=86_400,
            outputs_bucket="outputs",
            name_key=KEY,
        )
        self.register = EndpointRegister(
            self.endpoints, self.sender, self.clock, signing_key=KEY, endpoints_max=2
        )
        self.log = DeliveryLog(self.journal, self.index, self.clock)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[DeliveryApp]:
        journal = asyncio.create_task(self.journal.run())
        pump = asyncio.create_task(self._pump())
        self.journal.assign(str(index) for index in range(SHARDS))
        try:
            yield self
        finally:
            await self.reconciler.stop(0.0)
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)
            if not self.killed:
                await self.journal.drain()
            journal.cancel()
            await asyncio.gather(journal, return_exceptions=True)
            self.images.close()

    async def receive(self, message: Message, event_id: str | None = None) -> None:
        """Hand a message over as the bus would."""
        subject = str(getattr(message, "task_id", ""))
        envelope = Envelope(
            event_id=event_id or derive_id(Prefix.event, message.type, subject),
            occurred_at=NOW,
            producer="test",
            subject=subject,
            sequence=1,
            correlation_id="request-1",
            causation_id="cause-1",
        )
        await self._receive(RecordedMessage(envelope, message))

    async def _receive(self, recorded: RecordedMessage[Message]) -> None:
        if recorded.message.type not in bus.TABLE:
            return
        partition = shard_of(recorded.envelope.subject, SHARDS)
        offset = self.offsets.get(partition, 0)
        self.offsets[partition] = offset + 1
        input_ = bus.TABLE[recorded.message.type](recorded, "")
        consumed = await self.journal.consume(
            str(partition), Source(TASKS.name, partition), [(offset, input_)]
        )
        assert consumed.failed is None

    async def _pump(self) -> None:
        """Feed our own events back to us, as the topic does."""
        while True:
            while self.pumped < len(self.bus.messages):
                topic, _, _, body = self.bus.messages[self.pumped]
                self.pumped += 1
                if topic == TASKS.name:
                    document = json.loads(body)
                    await self._receive(RecordedMessage.from_document(document, MESSAGES[document["type"]]))
            await asyncio.sleep(0.002)

    def published(self, topic: str) -> list[dict]:
        return [json.loads(body) for name, _, _, body in self.bus.messages if name == topic]

    def order(self, *contents: bytes, k: int | None = None) -> TaskSelected:
        """Store candidates and return the selection of them."""
        chosen = []
        for index, content in enumerate(contents):
            candidate = SelectedCandidate(
                candidate_id=candidate_id(index),
                rank=index + 1,
                score=90.0,
                stored=stored(content, f"candidates/{index}"),
            )
            self.files.keep(candidate, content)
            chosen.append(candidate)
        return selection(k or len(chosen), chosen)

    def state(self) -> TaskDelivery | None:
        return self.journal.state(task_id())

    def is_over(self) -> bool:
        state = self.state()
        return state is not None and state.is_final

    def webhook_state(self) -> WebhookState | None:
        state = self.state()
        return state.webhooks[0].state if state and state.webhooks else None


def stored_outputs(files: MemoryFiles) -> set[str]:
    """Return the keys of the objects that were stored for clients."""
    return {key for bucket, key in files.objects if bucket == "outputs"}


PICTURES = (image_bytes(size=(300, 200)), image_bytes("PNG", size=(200, 300)))

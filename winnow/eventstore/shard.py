"""A shard in its owner's memory, and the unit of work on top of it that becomes the next block."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, Generic

from winnow.adapters.partitions import Source
from winnow.contracts.decider import Joined
from winnow.contracts.envelope import Envelope, Event, Message, RecordedMessage
from winnow.contracts.ids import Prefix, derive_id
from winnow.eventstore.codec import Cached, Codec
from winnow.eventstore.entities import Known, Overlay
from winnow.eventstore.model import GENESIS, Block, Decision, Input, S
from winnow.runtime import metrics
from winnow.runtime.tracing import child_of

RECENT_INPUTS_MAX: Final = 20_000
"""Inputs remembered in memory per shard; an older one is caught by the unique index."""


class InputReused(Exception):  # noqa: N818 (the noun of the problem)
    """The same input id came with another content."""


class ShardMemory(Generic[S]):
    """Memory of a shard's owner."""

    def __init__(self, name: str, head: Block | None) -> None:
        """Start from the newest block."""
        self.name = name
        self.head_no = head.block_no if head else 0
        self.head_hash = head.hash if head else GENESIS
        self.offsets: dict[Source, int] = dict(head.offsets) if head else {}
        self.cached: dict[str, Cached[S]] = {}
        self.dirty: set[str] = set()
        self.stored: set[str] = set()
        """Aggregates in memory that the store may know; their next states replace what it has."""
        self.waiting: set[str] = set()
        """Aggregates whose states the last save left to the next."""
        self.saved_to = self.folded_to = 0
        """The block of the last save, and the block up to which the store has every state."""
        self.entities: dict[str, Known[Any]] = {}
        """Entities that are not saved yet."""
        self.sought: dict[Source, int] = {}
        self._recent: OrderedDict[str, str] = OrderedDict()

    def remember(self, decisions: Iterable[Decision]) -> None:
        """Note inputs as decided."""
        for decision in decisions:
            self._recent[decision.input_id] = decision.fingerprint
        while len(self._recent) > RECENT_INPUTS_MAX:
            self._recent.popitem(last=False)

    def fingerprint_of(self, input_id: str) -> str | None:
        """Return the fingerprint of a decided input, None if the recent inputs do not hold it."""
        return self._recent.get(input_id)

    def replay(
        self, codec: Codec[S], blocks: Iterable[Block], loaded: Mapping[str, Known[Any] | None]
    ) -> None:
        """Fold blocks that the snapshots do not hold yet; ``loaded`` has the entities that their events read."""
        for block in blocks:
            overlay = Overlay(block.block_no, self.entities, loaded, stored=loaded)
            for decision in block.decisions:
                cached = self.cached.get(decision.aggregate_id) or Cached(
                    codec.decider.initial(decision.aggregate_id)
                )
                if cached.block_no < block.block_no or cached.seq < decision.seq:
                    self.cached[decision.aggregate_id] = codec.fold(cached, decision, block.block_no, overlay)
                    self.dirty.add(decision.aggregate_id)
            self.entities.update(overlay.changed)
            self.remember(block.decisions)


class UnitOfWork(Generic[S]):
    """Decisions on top of a shard's memory that are not committed yet."""

    def __init__(
        self,
        codec: Codec[S],
        memory: ShardMemory[S],
        restored: Mapping[str, Cached[S]],
        loaded: Mapping[str, Known[Any] | None],
        now: datetime,
    ) -> None:
        """Decide at ``now``; ``restored`` and ``loaded`` hold states and entities that were not in memory."""
        self._codec = codec
        self._memory = memory
        self._restored = restored
        self.entities: dict[str, Known[Any]] = {}
        self.missing: set[str] = set()
        """Entities that a decision turned out to read and that were not loaded: it has to be made again with them."""
        self._layers = (self.entities, memory.entities, loaded)
        self._now = now
        self._inputs: dict[str, str] = {}
        self.changed: dict[str, Cached[S]] = {}
        self.decisions: list[Decision] = []
        self.recorded: dict[str, tuple[RecordedMessage[Message], ...]] = {}
        self.offsets_before: Mapping[Source, int] = memory.offsets
        self.offsets: dict[Source, int] = dict(memory.offsets)
        self.sought: dict[Source, int] = dict(memory.sought)
        """Offsets that the bus was asked to seek to: a batch that comes after one all the same is decided."""

    def cached(self, aggregate_id: str) -> Cached[S]:
        """Return an aggregate as this unit of work leaves it."""
        return (
            self.changed.get(aggregate_id)
            or self._memory.cached.get(aggregate_id)
            or self._restored.get(aggregate_id)
            or Cached(self._codec.decider.initial(aggregate_id))
        )

    def decide(self, input_: Input) -> bool:
        """Decide an input; return False when it was decided before.

        Raises InputReused. What the decider raises leaves the unit of work as it was.
        """
        if self._is_known(input_):
            metrics.JOURNAL_DUPLICATES.inc()
            return False
        cached = self.cached(input_.aggregate_id)
        block_no = self._memory.head_no + 1
        decider, overlay = self._codec.decider, Overlay(block_no, *self._layers)
        try:
            message = self._joined(cached.state, input_, overlay)
        finally:
            self.missing |= overlay.missing
        messages = decider.decide(cached.state, message, self._now)
        if not messages:
            return True
        state, published = cached.state, cached.published
        recorded: list[RecordedMessage[Message]] = []
        for ordinal, message in enumerate(messages):
            counts = isinstance(message, Event) and self._codec.route(message) is not None
            published += counts
            envelope = self._envelope(input_, ordinal, published if counts else 0)
            recorded.append(RecordedMessage(envelope, message))
            if isinstance(message, Event):
                overlay.take(self._codec.entities, input_.aggregate_id, state, message, self._now)
                state = decider.evolve(state, message, self._now)
        entries = tuple(self._codec.entry(event) for event in recorded)
        self.entities.update(overlay.changed)
        decision = Decision(input_.aggregate_id, cached.seq + 1, input_.input_id, input_.fingerprint, entries)
        self.changed[input_.aggregate_id] = Cached(state, decision.seq, published, block_no)
        self.decisions.append(decision)
        self.recorded[input_.input_id] = tuple(recorded)
        self._inputs[input_.input_id] = input_.fingerprint
        return True

    def _is_known(self, input_: Input) -> bool:
        known = self._inputs.get(input_.input_id)
        if known is None:
            known = self._memory.fingerprint_of(input_.input_id)
        if known is None:
            return False
        if known != input_.fingerprint:
            raise InputReused(input_.input_id)
        return True

    def _joined(self, state: S, input_: Input, overlay: Overlay) -> object:
        entities = self._codec.entities
        if entities is None:
            return input_.message
        found = entities.gather(state, input_.message, overlay.finder(input_.aggregate_id))
        return Joined(input_.message, found)

    def _envelope(self, input_: Input, ordinal: int, sequence: int) -> Envelope:
        producer = self._codec.decider.producer
        event_id = derive_id(Prefix.event, producer, input_.input_id, ordinal)
        return Envelope(
            event_id=event_id,
            occurred_at=self._now,
            producer=producer,
            subject=input_.aggregate_id,
            sequence=sequence,
            correlation_id=input_.correlation_id,
            causation_id=input_.input_id,
            traceparent=child_of(input_.traceparent, event_id),
        )

    def block(self, sent_to: int) -> Block:
        """Seal the unit of work as the shard's next block, which notes up to which block the shard is on the bus."""
        memory = self._memory
        return Block(
            shard=memory.name,
            block_no=memory.head_no + 1,
            prev_hash=memory.head_hash,
            offsets=self.offsets,
            decisions=tuple(self.decisions),
            at=self._now,
            sent_to=sent_to,
        ).sealed()

    def apply(self, block: Block | None) -> None:
        """Make the unit of work the shard's memory, after its block is committed."""
        memory = self._memory
        memory.offsets, memory.sought = self.offsets, self.sought
        if block is None:
            return
        memory.head_no, memory.head_hash = block.block_no, block.hash
        memory.cached.update(self.changed)
        memory.entities.update(self.entities)
        memory.dirty.update(self.changed)
        memory.stored.update(self.changed.keys() & self._restored.keys())
        memory.remember(self.decisions)

"""One shard in its owner's memory: the snapshots, and a unit of work that becomes a block."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic

from pydantic import TypeAdapter, ValidationError

from winnow.adapters.partitions import Source
from winnow.contracts.decider import Decider, Joined
from winnow.contracts.envelope import Envelope, Event, Message, RecordedMessage
from winnow.contracts.errors import Unavailable
from winnow.contracts.ids import Prefix, derive_id
from winnow.contracts.topics import REGISTRY
from winnow.contracts.upcast import UnknownVersion
from winnow.eventstore.entities import Find, Known, NotLoaded, entities_of, entity_id_of
from winnow.eventstore.model import GENESIS, Block, Decision, Entry, Input, S, Snapshot
from winnow.runtime.tracing import child_of

RECENT_INPUTS_MAX: Final = 20_000
"""Inputs remembered in memory per shard; an older one is caught by the unique index."""

Route = Callable[[Message], tuple[str, str] | None]


class InputReused(Exception):  # noqa: N818 (the noun of the problem)
    """The same input id came with another content."""


class UnreadableEvent(Unavailable):
    """A stored event is of a type or version that this build does not know, or does not fit its version."""


@dataclass(frozen=True, slots=True)
class Cached(Generic[S]):
    """An aggregate in memory, with its counters."""

    state: S
    seq: int = 0
    published: int = 0
    block_no: int = 0


class Codec(Generic[S]):
    """Turns a decider's states and messages into JSON text and back."""

    def __init__(self, decider: Decider[S], route: Route) -> None:
        """Know the decider's state type and private events."""
        self.decider = decider
        self.route = route
        self.messages = REGISTRY.extended(decider.private_events, decider.upcasters)
        self._state: TypeAdapter[S] = TypeAdapter(decider.state_type)
        self.entities = entities_of(decider)

    def entry(self, recorded: RecordedMessage[Message]) -> Entry:
        """Write a message for the journal and the bus."""
        message = recorded.message
        to = self.route(message)
        return Entry(
            topic=to[0] if to else None,
            key=to[1] if to else recorded.envelope.subject,
            type=message.type,
            is_command=message.is_command,
            body=recorded.text(),
        )

    def recorded(self, entry: Entry) -> RecordedMessage[Message]:
        """Read a message of the journal as its newest version; raises UnreadableEvent."""
        try:
            return self.messages.read(entry.type, entry.body)
        except UnknownVersion as error:
            raise UnreadableEvent(str(error)) from error
        except ValueError as error:
            raise UnreadableEvent(f"a stored {entry.type} does not fit its version") from error

    def fold(
        self, cached: Cached[S], decision: Decision, block_no: int, overlay: Overlay | None = None
    ) -> Cached[S]:
        """Fold a stored decision; an ``overlay`` takes the entities it changes. Raises UnreadableEvent."""
        state, published = cached.state, cached.published
        for entry in decision.entries:
            if entry.is_command:
                continue
            recorded = self.recorded(entry)
            if isinstance(recorded.message, Event):
                at = recorded.envelope.occurred_at
                if overlay is not None:
                    overlay.take(self, decision.aggregate_id, state, recorded.message, at)
                state = self.decider.evolve(state, recorded.message, at)
                published += entry.topic is not None
        return Cached(state, decision.seq, published, block_no)

    def read_by(self, blocks: Iterable[Block]) -> set[str]:
        """Return the ids of the entities whose former value is needed to fold these blocks."""
        if self.entities is None:
            return set()
        return {
            entity_id_of(decision.aggregate_id, name)
            for block in blocks
            for decision in block.decisions
            for entry in decision.entries
            if isinstance(event := self.recorded(entry).message, Event)
            for name in self.entities.rules.read(event)
        }

    def dump(self, aggregate_id: str, shard: str, cached: Cached[S]) -> Snapshot:
        """Write a state for the store."""
        text = self._state.dump_json(cached.state).decode()
        final = self.decider.is_final(cached.state)
        counts = (cached.block_no, cached.seq, cached.published)
        return Snapshot(aggregate_id, shard, *counts, text, final, self.decider.state_version)

    def load(self, snapshot: Snapshot) -> Cached[S] | None:
        """Read a state of the store; None for one of another shape, which is to be folded from the journal anew."""
        if snapshot.state_version != self.decider.state_version:
            return None
        try:
            state = self._state.validate_json(snapshot.state)
        except ValidationError:
            return None
        return Cached(state, snapshot.seq, snapshot.published, snapshot.block_no)


class Overlay:
    """Entities that a decision or a block changes, on top of those that were known before it."""

    def __init__(
        self,
        block_no: int,
        *layers: Mapping[str, Known[Any] | None],
        stored: Mapping[str, Known[Any] | None] | None = None,
    ) -> None:
        """Look in the layers, newest first; an entity that is ``stored`` from this block or a later one stays."""
        self.changed: dict[str, Known[Any]] = {}
        self.missing: set[str] = set()
        """Ids that were asked for and not loaded."""
        self._block_no = block_no
        self._layers = (self.changed, *layers)
        self._stored = stored or {}

    def finder(self, aggregate_id: str) -> Find[Any]:
        """Return the look-up by name for one aggregate; it raises NotLoaded for what nobody asked for."""

        def find(name: str) -> Any:
            entity_id = entity_id_of(aggregate_id, name)
            for layer in self._layers:
                if entity_id in layer:
                    known = layer[entity_id]
                    return known.value if known else None
            self.missing.add(entity_id)
            raise NotLoaded(name)

        return find

    def take(self, codec: Codec[S], aggregate_id: str, state: S, event: Event, at: datetime) -> None:
        """Fold an event; ``state`` is the one before it."""
        if codec.entities is None:
            return
        rules = codec.entities.rules
        for name, value in rules.changed(state, event, at, self.finder(aggregate_id)).items():
            entity_id = entity_id_of(aggregate_id, name)
            stored = self._stored.get(entity_id)
            if stored is None or stored.block_no < self._block_no:
                self.changed[entity_id] = Known(aggregate_id, value, self._block_no)


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
        """Return the fingerprint of a decided input, None if it is not among the recent ones."""
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
        """Decide at ``now``; ``kept`` and ``loaded`` hold states and entities that were not in memory."""
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
        self.offsets: dict[Source, int] = dict(memory.offsets)

    def cached(self, aggregate_id: str) -> Cached[S]:
        """Return an aggregate as this unit of work leaves it."""
        return (
            self.changed.get(aggregate_id)
            or self._memory.cached.get(aggregate_id)
            or self._restored.get(aggregate_id)
            or Cached(self._codec.decider.initial(aggregate_id))
        )

    def is_duplicate(self, input_: Input) -> bool:
        """Return whether the input is decided; raises InputReused when its content differs."""
        known = self._inputs.get(input_.input_id)
        if known is None:
            known = self._memory.fingerprint_of(input_.input_id)
        if known is None:
            return False
        if known != input_.fingerprint:
            raise InputReused(input_.input_id)
        return True

    def decide(self, input_: Input) -> bool:
        """Decide an input; False when it leads to nothing. An exception of the decider leaves the unit of work as it was."""
        cached = self.cached(input_.aggregate_id)
        block_no = self._memory.head_no + 1
        decider, overlay = self._codec.decider, Overlay(block_no, *self._layers)
        try:
            message = self._joined(cached.state, input_, overlay)
        finally:
            self.missing |= overlay.missing
        messages = decider.decide(cached.state, message, self._now)
        if not messages:
            return False
        state, published = cached.state, cached.published
        recorded: list[RecordedMessage[Message]] = []
        for ordinal, message in enumerate(messages):
            counts = isinstance(message, Event) and self._codec.route(message) is not None
            published += counts
            envelope = self._envelope(input_, ordinal, published if counts else 0)
            recorded.append(RecordedMessage(envelope, message))
            if isinstance(message, Event):
                overlay.take(self._codec, input_.aggregate_id, state, message, self._now)
                state = decider.evolve(state, message, self._now)
        entries = tuple(self._codec.entry(event) for event in recorded)
        self.entities.update(overlay.changed)
        decision = Decision(input_.aggregate_id, cached.seq + 1, input_.input_id, input_.fingerprint, entries)
        self.changed[input_.aggregate_id] = Cached(state, decision.seq, published, block_no)
        self.decisions.append(decision)
        self.recorded[input_.input_id] = tuple(recorded)
        self._inputs[input_.input_id] = input_.fingerprint
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
        block = Block(
            shard=memory.name,
            block_no=memory.head_no + 1,
            prev_hash=memory.head_hash,
            offsets=self.offsets,
            decisions=tuple(self.decisions),
            at=self._now,
            sent_to=sent_to,
        )
        return block.sealed()

    def apply(self, block: Block | None) -> None:
        """Make the unit of work the shard's memory, after its block is committed."""
        memory = self._memory
        memory.offsets = self.offsets
        if block is None:
            return
        memory.head_no, memory.head_hash = block.block_no, block.hash
        memory.cached.update(self.changed)
        memory.entities.update(self.entities)
        memory.dirty.update(self.changed)
        memory.remember(self.decisions)


def content_fingerprint(content: bytes) -> str:
    """Return a short hash of an input's content, to tell a repeat from a clash."""
    return hashlib.sha256(content).hexdigest()[:32]

"""One shard in its owner's memory: the folded states, and a draft that becomes a block."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Generic

from pydantic import TypeAdapter, ValidationError

from winnow.contracts.envelope import Envelope, Event, Message, Recorded
from winnow.contracts.errors import Unavailable
from winnow.contracts.ids import Prefix, derive_id
from winnow.contracts.topics import REGISTRY
from winnow.contracts.upcast import UnknownVersion
from winnow.runtime.journal.entities import Find, Joined, Known, NotLoaded, entities_of, entity_id_of
from winnow.runtime.journal.model import GENESIS, Block, Cause, Decision, Entry, Folded, Machine, S, Source
from winnow.runtime.tracing import child_of

RECENT_CAUSES_MAX: Final = 20_000
"""Causes remembered in memory per shard; an older one is caught by the unique index."""

Route = Callable[[Message], tuple[str, str] | None]


class CauseConflict(Exception):  # noqa: N818 (a conflict is the noun of the problem)
    """The same cause id came with another content."""


class UnreadableEvent(Unavailable):
    """A stored event is of a type or version that this build does not know, or does not fit its version."""


@dataclass(frozen=True, slots=True)
class Held(Generic[S]):
    """An aggregate in memory, with its counters."""

    state: S
    seq: int = 0
    published: int = 0
    block_no: int = 0


class Codec(Generic[S]):
    """Turns a machine's states and messages into JSON text and back."""

    def __init__(self, machine: Machine[S], route: Route) -> None:
        """Know the machine's state type and private events."""
        self.machine = machine
        self.route = route
        self.messages = REGISTRY.extended(machine.private_events, machine.upcasters)
        self._state: TypeAdapter[S] = TypeAdapter(machine.state_type)
        self.entities = entities_of(machine)

    def entry(self, recorded: Recorded[Message]) -> Entry:
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

    def recorded(self, entry: Entry) -> Recorded[Message]:
        """Read a message of the journal as its newest version; raises UnreadableEvent."""
        try:
            return self.messages.read(entry.type, entry.body)
        except UnknownVersion as error:
            raise UnreadableEvent(str(error)) from error
        except ValueError as error:
            raise UnreadableEvent(f"a stored {entry.type} does not fit its version") from error

    def fold(
        self, held: Held[S], decision: Decision, block_no: int, overlay: Overlay | None = None
    ) -> Held[S]:
        """Fold a stored decision; an ``overlay`` takes the entities it changes. Raises UnreadableEvent."""
        state, published = held.state, held.published
        for entry in decision.entries:
            if entry.is_command:
                continue
            recorded = self.recorded(entry)
            if isinstance(recorded.message, Event):
                at = recorded.envelope.occurred_at
                if overlay is not None:
                    overlay.take(self, decision.aggregate_id, state, recorded.message, at)
                state = self.machine.evolve(state, recorded.message, at)
                published += entry.topic is not None
        return Held(state, decision.seq, published, block_no)

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

    def keep(self, aggregate_id: str, shard: str, held: Held[S]) -> Folded:
        """Write a state for the store."""
        text = self._state.dump_json(held.state).decode()
        final = self.machine.is_final(held.state)
        counts = (held.block_no, held.seq, held.published)
        return Folded(aggregate_id, shard, *counts, text, final, self.machine.state_version)

    def hold(self, kept: Folded) -> Held[S] | None:
        """Read a state of the store; None for one of another shape, which is to be folded from the journal anew."""
        if kept.state_version != self.machine.state_version:
            return None
        try:
            state = self._state.validate_json(kept.state)
        except ValidationError:
            return None
        return Held(state, kept.seq, kept.published, kept.block_no)


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
        self.held: dict[str, Held[S]] = {}
        self.dirty: set[str] = set()
        self.entities: dict[str, Known[Any]] = {}
        """Entities that are not saved yet."""
        self.sought: dict[Source, int] = {}
        self._recent: OrderedDict[str, str] = OrderedDict()

    def remember(self, decisions: Iterable[Decision]) -> None:
        """Note causes as decided."""
        for decision in decisions:
            self._recent[decision.cause_id] = decision.fingerprint
        while len(self._recent) > RECENT_CAUSES_MAX:
            self._recent.popitem(last=False)

    def fingerprint_of(self, cause_id: str) -> str | None:
        """Return the fingerprint of a decided cause, None if it is not among the recent ones."""
        return self._recent.get(cause_id)

    def replay(
        self, codec: Codec[S], blocks: Iterable[Block], loaded: Mapping[str, Known[Any] | None]
    ) -> None:
        """Fold blocks that the kept states do not hold yet; ``loaded`` has the entities that their events read."""
        for block in blocks:
            overlay = Overlay(block.block_no, self.entities, loaded, stored=loaded)
            for decision in block.decisions:
                held = self.held.get(decision.aggregate_id) or Held(
                    codec.machine.initial(decision.aggregate_id)
                )
                if held.block_no < block.block_no or held.seq < decision.seq:
                    self.held[decision.aggregate_id] = codec.fold(held, decision, block.block_no, overlay)
                    self.dirty.add(decision.aggregate_id)
            self.entities.update(overlay.changed)
            self.remember(block.decisions)


class Draft(Generic[S]):
    """Decisions on top of a shard's memory that are not committed yet."""

    def __init__(
        self,
        codec: Codec[S],
        memory: ShardMemory[S],
        kept: Mapping[str, Held[S]],
        loaded: Mapping[str, Known[Any] | None],
        now: datetime,
    ) -> None:
        """Decide at ``now``; ``kept`` and ``loaded`` hold states and entities that were not in memory."""
        self._codec = codec
        self._memory = memory
        self._kept = kept
        self.entities: dict[str, Known[Any]] = {}
        self.missing: set[str] = set()
        """Entities that a decision turned out to read and that were not loaded: it has to be made again with them."""
        self._layers = (self.entities, memory.entities, loaded)
        self._now = now
        self._causes: dict[str, str] = {}
        self.changed: dict[str, Held[S]] = {}
        self.decisions: list[Decision] = []
        self.recorded: dict[str, tuple[Recorded[Message], ...]] = {}
        self.offsets: dict[Source, int] = dict(memory.offsets)

    def held(self, aggregate_id: str) -> Held[S]:
        """Return an aggregate as this draft leaves it."""
        return (
            self.changed.get(aggregate_id)
            or self._memory.held.get(aggregate_id)
            or self._kept.get(aggregate_id)
            or Held(self._codec.machine.initial(aggregate_id))
        )

    def is_duplicate(self, cause: Cause) -> bool:
        """Return whether the cause is decided; raises CauseConflict when its content differs."""
        known = self._causes.get(cause.cause_id)
        if known is None:
            known = self._memory.fingerprint_of(cause.cause_id)
        if known is None:
            return False
        if known != cause.fingerprint:
            raise CauseConflict(cause.cause_id)
        return True

    def decide(self, cause: Cause) -> bool:
        """Decide a cause; False when it leads to nothing. An exception of the machine leaves the draft as it was."""
        held = self.held(cause.aggregate_id)
        block_no = self._memory.head_no + 1
        machine, overlay = self._codec.machine, Overlay(block_no, *self._layers)
        try:
            message = self._joined(held.state, cause, overlay)
        finally:
            self.missing |= overlay.missing
        messages = machine.decide(held.state, message, self._now)
        if not messages:
            return False
        state, published = held.state, held.published
        recorded: list[Recorded[Message]] = []
        for ordinal, message in enumerate(messages):
            counts = isinstance(message, Event) and self._codec.route(message) is not None
            published += counts
            envelope = self._envelope(cause, ordinal, published if counts else 0)
            recorded.append(Recorded(envelope, message))
            if isinstance(message, Event):
                overlay.take(self._codec, cause.aggregate_id, state, message, self._now)
                state = machine.evolve(state, message, self._now)
        entries = tuple(self._codec.entry(event) for event in recorded)
        self.entities.update(overlay.changed)
        decision = Decision(cause.aggregate_id, held.seq + 1, cause.cause_id, cause.fingerprint, entries)
        self.changed[cause.aggregate_id] = Held(state, decision.seq, published, block_no)
        self.decisions.append(decision)
        self.recorded[cause.cause_id] = tuple(recorded)
        self._causes[cause.cause_id] = cause.fingerprint
        return True

    def _joined(self, state: S, cause: Cause, overlay: Overlay) -> object:
        entities = self._codec.entities
        if entities is None:
            return cause.message
        found = entities.gather(state, cause.message, overlay.finder(cause.aggregate_id))
        return Joined(cause.message, found)

    def _envelope(self, cause: Cause, ordinal: int, sequence: int) -> Envelope:
        producer = self._codec.machine.producer
        event_id = derive_id(Prefix.event, producer, cause.cause_id, ordinal)
        return Envelope(
            event_id=event_id,
            occurred_at=self._now,
            producer=producer,
            subject=cause.aggregate_id,
            sequence=sequence,
            correlation_id=cause.correlation_id,
            causation_id=cause.cause_id,
            traceparent=child_of(cause.traceparent, event_id),
        )

    def block(self, sent_to: int) -> Block:
        """Seal the draft as the shard's next block, which notes up to which block the shard is on the bus."""
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
        """Make the draft the shard's memory, after its block is committed."""
        memory = self._memory
        memory.offsets = self.offsets
        if block is None:
            return
        memory.head_no, memory.head_hash = block.block_no, block.hash
        memory.held.update(self.changed)
        memory.entities.update(self.entities)
        memory.dirty.update(self.changed)
        memory.remember(self.decisions)


def fingerprint(content: bytes) -> str:
    """Return a short hash of a cause's content, to tell a repeat from a clash."""
    return hashlib.sha256(content).hexdigest()[:32]

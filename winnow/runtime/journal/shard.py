"""One shard in its owner's memory: the folded states, and a draft that becomes a block."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Generic

from pydantic import TypeAdapter

from winnow.contracts.envelope import Envelope, Event, Message, Recorded
from winnow.contracts.ids import Prefix, derive_id
from winnow.contracts.topics import MESSAGES
from winnow.runtime.journal.model import GENESIS, Block, Cause, Decision, Entry, Folded, Machine, S, Source
from winnow.runtime.tracing import child_of

RECENT_CAUSES_MAX: Final = 20_000
"""Causes remembered in memory per shard; an older one is caught by the unique index."""

Route = Callable[[Message], tuple[str, str] | None]


class CauseConflict(Exception):  # noqa: N818 (a conflict is the noun of the problem)
    """The same cause id came with another content."""


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
        self._models: dict[str, type[Message]] = {
            **MESSAGES,
            **{one.type_name(): one for one in machine.private_events},
        }
        self._state: TypeAdapter[S] = TypeAdapter(machine.state_type)

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
        """Read a message of the journal."""
        return Recorded.from_text(entry.body, self._models[entry.type])

    def fold(self, held: Held[S], decision: Decision, block_no: int) -> Held[S]:
        """Fold a stored decision."""
        state, published = held.state, held.published
        for entry in decision.entries:
            recorded = self.recorded(entry)
            if isinstance(recorded.message, Event):
                state = self.machine.evolve(state, recorded.message, recorded.envelope.occurred_at)
                published += entry.topic is not None
        return Held(state, decision.seq, published, block_no)

    def keep(self, aggregate_id: str, shard: str, held: Held[S]) -> Folded:
        """Write a state for the store."""
        text = self._state.dump_json(held.state).decode()
        final = self.machine.is_final(held.state)
        return Folded(aggregate_id, shard, held.block_no, held.seq, held.published, text, final)

    def hold(self, kept: Folded) -> Held[S]:
        """Read a state of the store."""
        return Held(self._state.validate_json(kept.state), kept.seq, kept.published, kept.block_no)


class ShardMemory(Generic[S]):
    """What the owner of a shard knows of it."""

    def __init__(self, name: str, head: Block | None) -> None:
        """Start from the newest block."""
        self.name = name
        self.head_no = head.block_no if head else 0
        self.head_hash = head.hash if head else GENESIS
        self.offsets: dict[Source, int] = dict(head.offsets) if head else {}
        self.held: dict[str, Held[S]] = {}
        self.dirty: set[str] = set()
        self.sought: dict[Source, int] = {}
        self._recent: OrderedDict[str, str] = OrderedDict()

    def remember(self, decisions: Iterable[Decision]) -> None:
        """Note causes as decided."""
        for decision in decisions:
            self._recent[decision.cause_id] = decision.fingerprint
        while len(self._recent) > RECENT_CAUSES_MAX:
            self._recent.popitem(last=False)

    def fingerprint_of(self, cause_id: str) -> str | None:
        """Give the fingerprint of a decided cause, None if it is not among the recent ones."""
        return self._recent.get(cause_id)

    def replay(self, codec: Codec[S], blocks: Iterable[Block]) -> None:
        """Fold blocks that the kept states do not hold yet."""
        for block in blocks:
            for decision in block.decisions:
                held = self.held.get(decision.aggregate_id) or Held(
                    codec.machine.initial(decision.aggregate_id)
                )
                if held.block_no < block.block_no or held.seq < decision.seq:
                    self.held[decision.aggregate_id] = codec.fold(held, decision, block.block_no)
                    self.dirty.add(decision.aggregate_id)
            self.remember(block.decisions)


class Draft(Generic[S]):
    """Decisions on top of a shard's memory that are not committed yet."""

    def __init__(
        self, codec: Codec[S], memory: ShardMemory[S], kept: Mapping[str, Held[S]], now: datetime
    ) -> None:
        """Decide at ``now``; ``kept`` holds states that were not in memory."""
        self._codec = codec
        self._memory = memory
        self._kept = kept
        self._now = now
        self._causes: dict[str, str] = {}
        self.changed: dict[str, Held[S]] = {}
        self.decisions: list[Decision] = []
        self.recorded: dict[str, tuple[Recorded[Message], ...]] = {}
        self.offsets: dict[Source, int] = dict(memory.offsets)

    def held(self, aggregate_id: str) -> Held[S]:
        """Give an aggregate as this draft leaves it."""
        return (
            self.changed.get(aggregate_id)
            or self._memory.held.get(aggregate_id)
            or self._kept.get(aggregate_id)
            or Held(self._codec.machine.initial(aggregate_id))
        )

    def is_duplicate(self, cause: Cause) -> bool:
        """Tell whether the cause is decided; raises CauseConflict when its content differs."""
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
        machine = self._codec.machine
        messages = machine.decide(held.state, cause.message, self._now)
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
                state = machine.evolve(state, message, self._now)
        entries = tuple(self._codec.entry(one) for one in recorded)
        block_no = self._memory.head_no + 1
        decision = Decision(cause.aggregate_id, held.seq + 1, cause.cause_id, cause.fingerprint, entries)
        self.changed[cause.aggregate_id] = Held(state, decision.seq, published, block_no)
        self.decisions.append(decision)
        self.recorded[cause.cause_id] = tuple(recorded)
        self._causes[cause.cause_id] = cause.fingerprint
        return True

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
        memory.dirty.update(self.changed)
        memory.remember(self.decisions)


def fingerprint(content: bytes) -> str:
    """Give a short hash of a cause's content, to tell a repeat from a clash."""
    return hashlib.sha256(content).hexdigest()[:32]

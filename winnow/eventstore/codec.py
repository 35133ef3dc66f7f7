"""Text form of states and messages, and the fold of stored decisions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic

from pydantic import TypeAdapter, ValidationError

from winnow.contracts.decider import Decider
from winnow.contracts.envelope import Event, Message, RecordedMessage
from winnow.contracts.errors import Unavailable
from winnow.contracts.topics import REGISTRY
from winnow.contracts.upcast import UnknownVersion
from winnow.eventstore.entities import Overlay, entities_of, entity_id_of
from winnow.eventstore.model import Block, Decision, Entry, S, Snapshot

Route = Callable[[Message], tuple[str, str] | None]
"""Returns the topic and the key of a message; None for one that stays in the journal."""


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
                    overlay.take(self.entities, decision.aggregate_id, state, recorded.message, at)
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

    def dump(self, aggregate_id: str, shard: str, cached: Cached[S], *, is_new: bool = True) -> Snapshot:
        """Write a state for the store; ``is_new`` unless the store may have an older one."""
        text = self._state.dump_json(cached.state).decode()
        final = self.decider.is_final(cached.state)
        counts = (cached.block_no, cached.seq, cached.published)
        return Snapshot(aggregate_id, shard, *counts, text, final, self.decider.state_version, is_new=is_new)

    def load(self, snapshot: Snapshot) -> Cached[S] | None:
        """Read a state of the store; None for one without text or of another shape, which is folded anew."""
        if not snapshot.state or snapshot.state_version != self.decider.state_version:
            return None
        try:
            state = self._state.validate_json(snapshot.state)
        except ValidationError:
            return None
        return Cached(state, snapshot.seq, snapshot.published, snapshot.block_no)

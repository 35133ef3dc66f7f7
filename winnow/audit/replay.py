"""Folds a shard of a journal into the states that its service would have, and checks its chain on the way.

What comes out is what the service itself keeps, to the byte: the same rules, the same text of every state.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Generic

from winnow.audit.chains import BlockChain
from winnow.contracts.decider import Decider
from winnow.contracts.envelope import Event, Message
from winnow.contracts.topics import route
from winnow.contracts.upcast import UnknownVersion
from winnow.eventstore.codec import Cached, Codec
from winnow.eventstore.entities import Known, Overlay, StoredEntity
from winnow.eventstore.model import S, Snapshot

_OCCURRED_AT: Final = '"occurred_at":"'


class BrokenChain(ValueError):  # noqa: N818 (what it is)
    """The journal has a fault, and a state folded from it would have one too; the text names it."""


class ShardFold(Generic[S]):
    """The states of one shard; takes its stored blocks in order, from the first."""

    def __init__(self, decider: Decider[S], lane: str) -> None:
        """Fold by the rules of a decider."""
        self._decider = decider
        self._codec = Codec(decider, route)
        self._cached: dict[str, Cached[S]] = {}
        self._entities: dict[str, Known[Any]] = {}
        self._moment = ("nothing yet", datetime.min.replace(tzinfo=UTC))
        self.shard = lane.rpartition("/")[2]
        self.chain = BlockChain(lane)
        self.events_count = 0

    def take(self, document: Mapping[str, Any]) -> None:
        """Check and fold a block; raises BrokenChain."""
        self.chain.take(document)
        if self.chain.findings:
            msg = f"{self.chain.lane}: {self.chain.findings[0].text}"
            raise BrokenChain(msg)
        block_no = self.chain.last
        overlay = Overlay(block_no, self._entities)
        for decision in document["decisions"]:
            aggregate_id = decision["aggregate_id"]
            cached = self._cached.get(aggregate_id)
            if cached is None:
                cached = Cached(self._decider.initial(aggregate_id))
            if decision["seq"] != cached.seq + 1:
                msg = (
                    f"{self.chain.lane}: block {block_no} decides {aggregate_id} as number {decision['seq']}"
                )
                msg += f" after number {cached.seq}"
                raise BrokenChain(msg)
            self._cached[aggregate_id] = self._folded(cached, decision, block_no, overlay)
        self._entities.update(overlay.changed)

    def states(self) -> list[S]:
        """Return every state."""
        return [cached.state for cached in self._cached.values()]

    def folded(self) -> list[Snapshot]:
        """Return every state as the service keeps it."""
        return [self._codec.dump(key, self.shard, cached) for key, cached in self._cached.items()]

    def entities(self) -> Iterator[StoredEntity]:
        """Yield every entity as the service keeps it."""
        if self._codec.entities is not None:
            for entity_id, known in self._entities.items():
                yield self._codec.entities.stored(entity_id, self.shard, known)

    def _folded(
        self, cached: Cached[S], decision: Mapping[str, Any], block_no: int, overlay: Overlay
    ) -> Cached[S]:
        state, published = cached.state, cached.published
        for entry in decision["entries"]:
            if entry["is_command"]:
                continue
            body = entry["body"]
            event = self._payload(entry["type"], body)
            if isinstance(event, Event):
                at = self._occurred_at(body)
                overlay.take(self._codec.entities, decision["aggregate_id"], state, event, at)
                state = self._decider.evolve(state, event, at)
                published += entry["topic"] is not None
                self.events_count += 1
        return Cached(state, decision["seq"], published, block_no)

    def _payload(self, type_name: str, body: str) -> Message:
        try:
            return self._codec.messages.payload(type_name, body)
        except UnknownVersion as error:
            msg = f"{self.chain.lane}: block {self.chain.last} holds {error}"
            raise BrokenChain(msg) from error

    def _occurred_at(self, body: str) -> datetime:
        """Read when an event occurred; the events of a block share one moment, so it is parsed once."""
        start = body.index(_OCCURRED_AT)
        text, moment = self._moment
        if not body.startswith(text, start):
            after = start + len(_OCCURRED_AT)
            end = body.index('"', after)
            moment = datetime.fromisoformat(body[after:end])
            self._moment = (body[start : end + 1], moment)
        return moment

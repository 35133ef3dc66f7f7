"""Entities of an aggregate: documents beside its state, folded from the same events, loaded when a decision asks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from pydantic import TypeAdapter

from winnow.contracts.decider import Decider, EntityRules
from winnow.contracts.envelope import Event
from winnow.eventstore.model import S

E = TypeVar("E")
Find = Callable[[str], E | None]


@dataclass(frozen=True, slots=True)
class StoredEntity:
    """An entity as it is stored: JSON text, with the block that changed it last."""

    entity_id: str
    aggregate_id: str
    shard: str
    block_no: int
    body: str


@dataclass(frozen=True, slots=True)
class Known(Generic[E]):
    """An entity in memory, with the block that changed it last."""

    aggregate_id: str
    value: E
    block_no: int


class NotLoaded(LookupError):  # noqa: N818 (the state of the entity)
    """An entity was read that nobody had asked the store for."""


class Entities(Generic[S, E]):
    """The entities of a decider: ids, text form, and what a decision needs."""

    def __init__(self, rules: EntityRules[S, E]) -> None:
        """Use the decider's rules."""
        self.rules = rules
        self._adapter: TypeAdapter[E] = TypeAdapter(rules.entity_type)

    def gather(self, state: S, message: object, find: Find[E]) -> dict[str, E | None]:
        """Return all that a decision reads; what ``find`` raises passes."""
        found: dict[str, E | None] = {}
        while missing := [name for name in self.rules.needed(state, message, found) if name not in found]:
            found |= {name: find(name) for name in missing}
        return found

    def missing(self, state: S, message: object, aggregate_id: str, seen: Mapping[str, Any]) -> set[str]:
        """Return the ids that have to be looked up before a decision can be gathered further."""
        absent: set[str] = set()

        def find(name: str) -> E | None:
            entity_id = entity_id_of(aggregate_id, name)
            if entity_id not in seen:
                absent.add(entity_id)
                return None
            known: Known[E] | None = seen[entity_id]
            return known.value if known else None

        self.gather(state, message, find)
        return absent

    def stored(self, entity_id: str, shard: str, known: Known[E]) -> StoredEntity:
        """Write an entity for the store."""
        body = self._adapter.dump_json(known.value).decode()
        return StoredEntity(entity_id, known.aggregate_id, shard, known.block_no, body)

    def known(self, stored: StoredEntity) -> Known[E]:
        """Read an entity of the store."""
        return Known(stored.aggregate_id, self._adapter.validate_json(stored.body), stored.block_no)


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

    def take(
        self, entities: Entities[S, Any] | None, aggregate_id: str, state: S, event: Event, at: datetime
    ) -> None:
        """Fold an event; ``state`` is the one before it. Without ``entities`` there is nothing to fold."""
        if entities is None:
            return
        for name, value in entities.rules.changed(state, event, at, self.finder(aggregate_id)).items():
            entity_id = entity_id_of(aggregate_id, name)
            stored = self._stored.get(entity_id)
            if stored is None or stored.block_no < self._block_no:
                self.changed[entity_id] = Known(aggregate_id, value, self._block_no)


def entities_of(decider: Decider[S]) -> Entities[S, Any] | None:
    """Return the entities of a decider that has rules for some; None for any other."""
    return None if decider.entity_rules is None else Entities(decider.entity_rules)


def entity_id_of(aggregate_id: str, name: str) -> str:
    """Return the id of an entity; it names the aggregate, so that none reads another's."""
    return f"{aggregate_id}/{name}"

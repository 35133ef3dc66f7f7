"""Description of a domain's rules, as the event store runs them: pure functions, and the shape of their state."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from winnow.contracts.envelope import Event, Message
from winnow.contracts.upcast import Upcaster

S = TypeVar("S")
E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class Tick:
    """The message of an aggregate whose ``due_at`` has come."""


@dataclass(frozen=True, slots=True)
class Joined(Generic[E]):
    """A message with the entities that its decision reads, by name; None for a name without an entity."""

    message: Any
    entities: Mapping[str, E | None]


@dataclass(frozen=True, slots=True)
class EntityRules(Generic[S, E]):
    """Rules of the entities beside a state. A name is unique within its aggregate; no state depends on an entity."""

    entity_type: type[E]
    needed: Callable[[S, Any, Mapping[str, E | None]], Iterable[str]]
    """Names that a decision of the message reads; asked again until all of them are among the found entities."""
    read: Callable[[Event], Iterable[str]]
    """Names of the entities whose former value ``changed`` reads."""
    changed: Callable[[S, Event, datetime, Callable[[str], E | None]], Mapping[str, E]]
    """Entities that an event leaves behind; the state is the one before the event, the last argument finds by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decider(Generic[S]):
    """Rules of one kind of aggregate. The functions are pure: time is an argument."""

    producer: str
    state_type: type[S]
    state_version: int
    """Counts the shapes of the state; a stored state of another version is folded from the journal anew."""
    private_events: tuple[type[Event], ...]
    upcasters: tuple[Upcaster, ...] = ()
    """The steps that lift older versions of the private events."""
    stores_states: bool = True
    """False where every aggregate is decided once and nobody asks for its state again."""
    stores_finals: bool = True
    """False where only a late message asks for a final state: unless it was stored before, its id alone is kept."""
    initial: Callable[[str], S]
    """The state of an aggregate that nothing is known of."""
    decide: Callable[[S, Any, datetime], Sequence[Message]]
    """Events and commands that a message leads to, in order; nothing means that nothing is recorded."""
    evolve: Callable[[S, Event, datetime], S]
    """The state after an event, public or private."""
    due_at: Callable[[S], datetime | None] = lambda _: None
    """The time at which the aggregate wants a Tick."""
    is_final: Callable[[S], bool]
    """True for an aggregate that may leave memory."""
    entity_rules: EntityRules[S, Any] | None = None
    """With these, every message reaches ``decide`` as a ``Joined``."""

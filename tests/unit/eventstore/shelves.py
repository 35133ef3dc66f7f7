"""A decider of shelves, whose boxes are entities, and its journal folded from the first block."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from tests.support.fakes.memory_journal import MemoryJournalStore
from winnow.contracts.decider import Decider, EntityRules, Joined
from winnow.contracts.envelope import Event, Message
from winnow.contracts.topics import route
from winnow.eventstore.codec import Cached, Codec
from winnow.eventstore.entities import Find, Overlay


class Put(Event):
    type: Literal["test.put"] = "test.put"
    version: Literal[1] = 1
    name: str
    amount: int
    total: int


@dataclass(frozen=True, slots=True)
class Crate:
    count: int = 0


@dataclass(frozen=True, slots=True)
class Box:
    total: int
    puts_count: int


def _needed(state: Crate, message: object, found: Mapping[str, Box | None]) -> Iterable[str]:
    """Name the box of the message, and ``->other`` as a second box that is read."""
    del state
    assert isinstance(message, tuple)
    name, amount = message
    yield name
    # Known only once the first is read, as a refund's grants are.
    if found.get(name) and amount == 5:
        yield f"{name}-other"


def _read(event: Event) -> Iterable[str]:
    return (event.name,) if isinstance(event, Put) else ()


def _changed(state: Crate, event: Event, at: datetime, find: Find[Box]) -> Mapping[str, Box]:
    del state, at
    if not isinstance(event, Put):
        return {}
    before = find(event.name) or Box(0, 0)
    return {event.name: Box(before.total + event.amount, before.puts_count + 1)}


def _put(state: Crate, joined: Joined[Box], now: datetime) -> Sequence[Message]:
    del state, now
    name, amount = joined.message
    box = joined.entities[name]
    if box and amount == 5:
        assert f"{name}-other" in joined.entities
    return [Put(name=name, amount=amount, total=amount + (box.total if box else 0))]


SHELVES = Decider(
    producer="shelves",
    state_type=Crate,
    state_version=1,
    private_events=(Put,),
    initial=lambda _: Crate(),
    decide=_put,
    evolve=lambda state, event, _: Crate(state.count + 1) if isinstance(event, Put) else state,
    is_final=lambda state: state.count % 2 == 0,
    entity_rules=EntityRules(Box, _needed, _read, _changed),
)


def folded(store: MemoryJournalStore) -> tuple[dict[str, Cached[Crate]], dict[str, str]]:
    """Fold the journal from its first block."""
    codec: Codec[Crate] = Codec(SHELVES, route)
    held: dict[str, Cached[Crate]] = {}
    known: dict[str, Any] = {}
    for block in store.chain("0"):
        overlay = Overlay(block.block_no, known, _Absent())
        for decision in block.decisions:
            before = held.get(decision.aggregate_id) or Cached(Crate())
            held[decision.aggregate_id] = codec.fold(before, decision, block.block_no, overlay)
        known |= overlay.changed
    assert codec.entities is not None
    return held, {key: codec.entities.stored(key, "0", value).body for key, value in known.items()}


class _Absent(dict[str, None]):
    def __contains__(self, key: object) -> bool:
        return True

    def __missing__(self, key: str) -> None:
        return None

"""Takes what a save stores of a shard's memory: changed states, the ids of those that are final, and entities."""

from __future__ import annotations

from typing import Any, Generic

from winnow.eventstore.codec import Cached, Codec
from winnow.eventstore.entities import Known
from winnow.eventstore.model import S, Snapshot
from winnow.eventstore.shard import ShardMemory


class Changes(Generic[S]):
    """Changes of a shard's memory up to a block; what changes later belongs to the next save."""

    def __init__(
        self, codec: Codec[S], memory: ShardMemory[S], block_no: int, *, defers: bool = False
    ) -> None:
        """Take the changes; with ``defers`` a new open state waits for the next save, when it may be final."""
        self._codec, self._memory, self._block_no = codec, memory, block_no
        self.shard = memory.name
        changed = {key: memory.cached[key] for key in memory.dirty if key in memory.cached}
        # A state does not wait behind its entities, which are stored as the newest block leaves them.
        new = changed.keys() - memory.stored - memory.waiting if defers and codec.entities is None else ()
        self._waiting = {key for key in new if not codec.decider.is_final(changed[key].state)}
        self._states = {key: cached for key, cached in changed.items() if key not in self._waiting}
        self._entities: dict[str, Known[Any]] = dict(memory.entities)
        memory.dirty = set(self._waiting)
        stored = self._states if codec.decider.stores_states else {}
        self.snapshots = [self._snapshot(key, cached) for key, cached in stored.items()]
        entities = codec.entities
        self.entities = [
            entities.stored(key, memory.name, known) for key, known in self._entities.items() if entities
        ]
        # All that was decided for a state that waits stands after the last save.
        self.folded_to = memory.saved_to if self._waiting else block_no
        # A write may succeed though its answer is lost.
        memory.stored |= self._states.keys()

    def _snapshot(self, key: str, cached: Cached[S]) -> Snapshot:
        memory, decider = self._memory, self._codec.decider
        is_new = key not in memory.stored
        if is_new and not decider.stores_finals and decider.is_final(cached.state):
            place = (memory.name, cached.block_no, cached.seq, cached.published)
            return Snapshot(key, *place, "", is_final=True, after=memory.folded_to)
        return self._codec.dump(key, memory.name, cached, is_new=is_new)

    def put_back(self) -> None:
        """Leave the changes to the next save: this one failed."""
        self._memory.dirty |= self._states.keys()

    def forget(self) -> None:
        """Let saved entities and final states leave memory; those that have changed since stay."""
        memory = self._memory
        memory.waiting, memory.saved_to, memory.folded_to = self._waiting, self._block_no, self.folded_to
        for entity_id, known in self._entities.items():
            if memory.entities.get(entity_id) is known:
                del memory.entities[entity_id]
        for key, cached in self._states.items():
            if memory.cached.get(key) is cached and self._codec.decider.is_final(cached.state):
                del memory.cached[key]
                memory.stored.discard(key)

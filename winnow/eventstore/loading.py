"""Brings states and entities of a shard into memory, from the store and from the blocks after it."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Generic, TypeAlias, cast

from winnow.eventstore.codec import Cached, Codec
from winnow.eventstore.entities import Known
from winnow.eventstore.model import S, Snapshot
from winnow.eventstore.saving import Changes
from winnow.eventstore.shard import ShardMemory
from winnow.eventstore.store import JournalStore
from winnow.eventstore.work import Work
from winnow.runtime import metrics

BLOCKS_AT_ONCE: Final = 500
"""Blocks that are read at once when a shard is loaded, or a state is folded from the first block on."""
UNSAVED_MAX: Final = 10_000
"""States and entities at which a shard that is being loaded saves them: about 5 MB at 500 bytes each."""
Loaded: TypeAlias = dict[str, Known[Any] | None]
"""Entities by id, as the store has them; None for one that it has not."""


class Loader(Generic[S]):
    """Reads what the store has; a decider without entities has none loaded."""

    def __init__(self, codec: Codec[S], store: JournalStore) -> None:
        """Read and write by the codec's rules."""
        self._codec = codec
        self._store = store

    async def load(
        self, works: Sequence[Work[S]], memories: Mapping[str, ShardMemory[S]], saved: Mapping[str, Cached[S]]
    ) -> Loaded:
        """Look up the entities that works may read and that are not in memory, those of all works at once."""
        loaded: Loaded = {}
        while missing := self._missing(works, memories, saved, loaded):
            loaded |= await self.look_up(missing)
        return loaded

    def _missing(
        self,
        works: Sequence[Work[S]],
        memories: Mapping[str, ShardMemory[S]],
        saved: Mapping[str, Cached[S]],
        loaded: Loaded,
    ) -> set[str]:
        entities, missing = self._codec.entities, set[str]()
        if entities is None:
            return missing
        for work in works:
            memory = memories.get(work.shard)
            if memory is None:
                continue
            seen = ChainMap(cast("Loaded", memory.entities), loaded)
            for input_ in work.inputs:
                name = input_.aggregate_id
                cached = memory.cached.get(name) or saved.get(name)
                state = cached.state if cached else self._codec.decider.initial(name)
                missing |= entities.missing(state, input_.message, name, seen)
        return missing

    async def look_up(self, entity_ids: Iterable[str]) -> Loaded:
        """Return the store's entities for these ids."""
        ids = sorted(entity_ids)
        entities = self._codec.entities
        if not ids or entities is None:
            return {}
        found = await self._store.entities(ids)
        return {id_: entities.known(found[id_]) if id_ in found else None for id_ in ids}

    async def restore_all(self, shard: str, saved: Iterable[Snapshot]) -> dict[str, Cached[S]]:
        """Read stored states of a shard, and fold those of another shape or without text; raises UnreadableEvent."""
        states = list(saved)
        read = {state.aggregate_id: self._codec.load(state) for state in states}
        folded = {key: cached for key, cached in read.items() if cached is not None}
        unread = [state for state in states if state.aggregate_id not in folded]
        for after in {state.after for state in unread}:
            until = {state.aggregate_id: state.block_no for state in unread if state.after == after}
            folded |= await self._refolded(shard, after, until)
        metrics.JOURNAL_REFOLDED.inc(sum(bool(state.state) for state in unread))
        return folded

    async def _refolded(self, shard: str, block_no: int, until: Mapping[str, int]) -> dict[str, Cached[S]]:
        """Fold states from the blocks after ``block_no``, up to the block of each; raises UnreadableEvent."""
        folded = {aggregate_id: Cached(self._codec.decider.initial(aggregate_id)) for aggregate_id in until}
        last = max(until.values())
        while block_no < last:
            limit = min(BLOCKS_AT_ONCE, last - block_no)
            blocks = await self._store.blocks_after(shard, block_no, limit=limit)
            for block in blocks:
                for decision in block.decisions:
                    cached = folded.get(decision.aggregate_id)
                    if cached is not None and block.block_no <= until[decision.aggregate_id]:
                        folded[decision.aggregate_id] = self._codec.fold(cached, decision, block.block_no)
            block_no = blocks[-1].block_no if blocks else last
        return folded

    async def restore(self, memory: ShardMemory[S], saved: Iterable[Snapshot]) -> None:
        """Take stored states into memory; one of another shape is stored again, in its new shape."""
        states = list(saved)
        memory.cached |= await self.restore_all(memory.name, states)
        memory.stored |= {state.aggregate_id for state in states}
        version = self._codec.decider.state_version
        memory.dirty |= {
            state.aggregate_id for state in states if state.state and state.state_version != version
        }

    async def replay(self, memory: ShardMemory[S]) -> None:
        """Fold what the saved states do not hold yet, some blocks at a time."""
        at = memory.saved_to = memory.folded_to = await self._store.folded_to(memory.name)
        while blocks := await self._store.blocks_after(memory.name, at, limit=BLOCKS_AT_ONCE):
            missing = {decision.aggregate_id for block in blocks for decision in block.decisions}
            missing -= memory.cached.keys()
            await self.restore(memory, (await self._store.states(missing)).values())
            read = self._codec.read_by(blocks) - set(memory.entities)
            memory.replay(self._codec, blocks, await self.look_up(read))
            at = blocks[-1].block_no
            if len(memory.entities) + len(memory.dirty) > UNSAVED_MAX:
                changes = Changes(self._codec, memory, at)
                await self._store.save(changes.snapshots, {memory.name: at}, {}, changes.entities)
                changes.forget()

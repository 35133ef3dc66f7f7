"""A journal store and a bus in memory, for unit tests: the same promises as the real ones, checked by one suite."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from winnow.eventstore import Block, Decision
from winnow.eventstore.entities import StoredEntity
from winnow.eventstore.model import Snapshot
from winnow.eventstore.store import CommitResult


@dataclass
class MemoryJournalStore:
    """Blocks and states in dictionaries; two journals may share one to play two owners."""

    everywhere: bool = False
    blocks: dict[str, Block] = field(default_factory=dict)
    marks: dict[str, int] = field(default_factory=dict)
    kept: dict[str, Snapshot] = field(default_factory=dict)
    folds: dict[str, int] = field(default_factory=dict)
    kept_entities: dict[str, StoredEntity] = field(default_factory=dict)
    entities_read: int = 0

    async def insert(self, blocks: Sequence[Block]) -> dict[str, CommitResult]:
        await asyncio.sleep(0)
        return {block.shard: self._insert(block) for block in blocks}

    def _insert(self, block: Block) -> CommitResult:
        stored = self.blocks.get(block.block_id)
        if stored is not None:
            return CommitResult.committed if stored.hash == block.hash else CommitResult.fenced
        if self._known(block.shard, [decision.input_id for decision in block.decisions]):
            return CommitResult.input_known
        self.blocks[block.block_id] = block
        return CommitResult.committed

    async def head(self, shard: str) -> Block | None:
        chain = self.chain(shard)
        return chain[-1] if chain else None

    async def blocks_after(self, shard: str, block_no: int, *, limit: int = 0) -> list[Block]:
        later = [block for block in self.chain(shard) if block.block_no > block_no]
        return later[:limit] if limit else later

    async def decided_after(self, shard: str, block_no: int, aggregate_id: str) -> list[tuple[int, Decision]]:
        return [
            (block.block_no, decision)
            for block in await self.blocks_after(shard, block_no)
            for decision in block.decisions
            if decision.aggregate_id == aggregate_id
        ]

    async def sent_to(self, shard: str) -> int:
        head = await self.head(shard)
        return max(head.sent_to if head else 0, self.marks.get(shard, 0))

    async def unsent(self, shard: str) -> list[Block]:
        return [
            block for block in await self.blocks_after(shard, await self.sent_to(shard)) if block.has_messages
        ]

    async def known_inputs(self, shard: str, input_ids: Sequence[str]) -> dict[str, Decision]:
        return self._known(shard, input_ids)

    def _known(self, shard: str, input_ids: Sequence[str]) -> dict[str, Decision]:
        wanted = set(input_ids)
        return {
            decision.input_id: decision
            for block in self.blocks.values()
            if self.everywhere or block.shard == shard
            for decision in block.decisions
            if decision.input_id in wanted
        }

    async def folded_to(self, shard: str) -> int:
        return self.folds.get(shard, 0)

    async def states(self, aggregate_ids: Iterable[str]) -> dict[str, Snapshot]:
        return {
            aggregate_id: self.kept[aggregate_id]
            for aggregate_id in aggregate_ids
            if aggregate_id in self.kept
        }

    async def open_states(self, shard: str) -> list[Snapshot]:
        return [state for state in self.kept.values() if state.shard == shard and not state.is_final]

    async def entities(self, entity_ids: Iterable[str]) -> dict[str, StoredEntity]:
        found = {
            entity_id: self.kept_entities[entity_id]
            for entity_id in entity_ids
            if entity_id in self.kept_entities
        }
        self.entities_read += len(found)
        return found

    async def save(
        self,
        states: Sequence[Snapshot],
        folded_to: Mapping[str, int],
        sent_to: Mapping[str, int],
        entities: Sequence[StoredEntity] = (),
    ) -> None:
        for entity in entities:
            stored = self.kept_entities.get(entity.entity_id)
            if stored is None or stored.block_no < entity.block_no:
                self.kept_entities[entity.entity_id] = entity
        for state in states:
            present = self.kept.get(state.aggregate_id)
            age = (state.block_no, present.state_version != state.state_version) if present else (0, False)
            if present is None or present.block_no < age[0] or (present.block_no == age[0] and age[1]):
                self.kept[state.aggregate_id] = state
        for noted, steps in ((self.folds, folded_to), (self.marks, sent_to)):
            noted |= {shard: max(noted.get(shard, 0), block_no) for shard, block_no in steps.items()}

    def chain(self, shard: str) -> list[Block]:
        """Return a shard's blocks in order."""
        return sorted(
            (block for block in self.blocks.values() if block.shard == shard),
            key=lambda block: block.block_no,
        )


class InterruptedStore(MemoryJournalStore):
    """A view of a store before whose next insert something happens, once it is armed; the insert may fail then."""

    def __init__(self, inner: MemoryJournalStore) -> None:
        super().__init__(**vars(inner))
        self._happens: Callable[[], Awaitable[None]] | None = None
        self._fails = False

    def arm(self, happens: Callable[[], Awaitable[None]], *, fails: bool = False) -> None:
        self._happens, self._fails = happens, fails

    async def insert(self, blocks: Sequence[Block]) -> dict[str, CommitResult]:
        happens, self._happens = self._happens, None
        if happens is not None:
            await happens()
            if self._fails:
                raise ConnectionError
        return await super().insert(blocks)


@dataclass
class MemoryBus:
    """Keeps what was sent, in order; ``fail_next`` sends raise."""

    messages: list[tuple[str, int, str, bytes]] = field(default_factory=list)
    fail_next: int = 0

    async def send(
        self, topic: str, partition: int, key: str, body: bytes, headers: dict[str, str]
    ) -> asyncio.Future[object]:
        await asyncio.sleep(0)
        if self.fail_next:
            self.fail_next -= 1
            raise ConnectionError
        self.messages.append((topic, partition, key, body))
        future: asyncio.Future[object] = asyncio.get_running_loop().create_future()
        future.set_result(None)
        return future

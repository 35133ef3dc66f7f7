"""Port of the journal's storage: blocks, snapshots and entities, and how far shards are folded and sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Protocol

from winnow.eventstore.entities import StoredEntity
from winnow.eventstore.model import Block, Decision, Snapshot


class CommitResult(StrEnum):
    """Result of inserting a block."""

    committed = "committed"
    fenced = "fenced"
    """Another owner has written this block number."""
    input_known = "cause_known"
    """One of its inputs is decided in another block."""


class JournalStore(Protocol):
    """The port of the journal. Every method retries while the database does not answer."""

    async def insert(self, blocks: Sequence[Block]) -> dict[str, CommitResult]:
        """Commit blocks of different shards; return the result of each by shard. Never half of a block."""

    async def head(self, shard: str) -> Block | None:
        """Return the newest block of a shard."""

    async def blocks_after(self, shard: str, block_no: int, *, limit: int = 0) -> list[Block]:
        """Return the blocks of a shard after ``block_no``, in order; at most ``limit`` of them unless it is 0."""

    async def decided_after(self, shard: str, block_no: int, aggregate_id: str) -> list[tuple[int, Decision]]:
        """Return what was decided for an aggregate after ``block_no``, in order, each with the number of its block."""

    async def sent_to(self, shard: str) -> int:
        """Return the newest block of a shard that is known to be on the bus with all before it; 0 for none."""

    async def unsent(self, shard: str) -> list[Block]:
        """Return the blocks whose messages may not have reached the bus, in order."""

    async def known_inputs(self, shard: str, input_ids: Sequence[str]) -> dict[str, Decision]:
        """Return the decisions taken for these inputs, in this shard or wherever inputs are unique."""

    async def folded_to(self, shard: str) -> int:
        """Return the block up to which every state of the shard is kept."""

    async def states(self, aggregate_ids: Iterable[str]) -> dict[str, Snapshot]:
        """Return the newest snapshots by aggregate; of a final state that was never stored, without text."""

    async def open_states(self, shard: str) -> list[Snapshot]:
        """Return the snapshots of a shard that are not final."""

    async def entities(self, entity_ids: Iterable[str]) -> dict[str, StoredEntity]:
        """Return stored entities by id."""

    async def save(
        self,
        states: Sequence[Snapshot],
        folded_to: Mapping[str, int],
        sent_to: Mapping[str, int],
        entities: Sequence[StoredEntity] = (),
    ) -> None:
        """Keep entities, then states, then how far shards are folded and on the bus. Of states without text, the ids.

        An older entity or state never replaces a newer one. How far shards are is told in block numbers, which
        never go back. Entities are never behind the state they left: folding again needs that state.
        """

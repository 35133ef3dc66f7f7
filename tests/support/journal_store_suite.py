"""Promises of every journal store, in memory and real alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from winnow.adapters.partitions import Source
from winnow.eventstore import Block, Decision
from winnow.eventstore.entities import StoredEntity
from winnow.eventstore.model import GENESIS, Entry, Snapshot
from winnow.eventstore.store import CommitResult, JournalStore

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def decision(input_id: str, aggregate_id: str = "a", *, topic: str | None = "tasks") -> Decision:
    entry = Entry(topic, aggregate_id, "test.added", is_command=False, body=f'{{"cause":"{input_id}"}}')
    return Decision(aggregate_id, 1, input_id, f"print-{input_id}", (entry,))


def block(
    shard: str, number: int, inputs: Sequence[str], previous: Block | None = None, topic: str | None = "tasks"
) -> Block:
    decisions = tuple(decision(input_, topic=topic) for input_ in inputs)
    before = previous.hash if previous else GENESIS
    return Block(shard, number, before, {Source("commands", 0): number * 10}, decisions, AT).sealed()


def folded(aggregate_id: str, block_no: int, *, shard: str = "0", is_final: bool = False) -> Snapshot:
    return Snapshot(aggregate_id, shard, block_no, block_no, block_no, f'{{"at":{block_no}}}', is_final)


def final_id(aggregate_id: str, block_no: int, *, after: int = 0, shard: str = "0") -> Snapshot:
    return Snapshot(aggregate_id, shard, block_no, 0, 0, "", is_final=True, after=after)


def entity(entity_id: str, block_no: int) -> StoredEntity:
    return StoredEntity(entity_id, entity_id.partition("/")[0], "0", block_no, f'{{"at":{block_no}}}')


class JournalStoreSuite:
    """A subclass provides ``store``: inputs are unique within a shard; and ``store_everywhere``: over all shards.

    Its ``listing_store`` keeps the ids of final states.
    """

    async def test_an_inserted_block_is_read_back_whole(self, store: JournalStore) -> None:
        first = block("0", 1, ["c1", "c2"])

        assert await store.insert([first]) == {"0": CommitResult.committed}

        assert await store.head("0") == first
        assert await store.head("1") is None
        assert (await store.blocks_after("0", 0))[0].digest() == first.hash

    async def test_the_same_block_again_is_committed_and_kept_once(self, store: JournalStore) -> None:
        first = block("0", 1, ["c1"])
        await store.insert([first])

        assert await store.insert([first]) == {"0": CommitResult.committed}
        assert await store.blocks_after("0", 0) == [first]

    async def test_another_block_of_the_same_number_is_fenced(self, store: JournalStore) -> None:
        winner = block("0", 1, ["c1"])
        await store.insert([winner])

        assert await store.insert([block("0", 1, ["c2"])]) == {"0": CommitResult.fenced}
        assert await store.blocks_after("0", 0) == [winner]

    async def test_a_cause_is_decided_once_in_a_shard(self, store: JournalStore) -> None:
        first = block("0", 1, ["c1", "c2"])
        await store.insert([first])

        fate = await store.insert([block("0", 2, ["c3", "c2"], first)])

        assert fate == {"0": CommitResult.input_known}
        assert await store.blocks_after("0", 0) == [first]
        assert set(await store.known_inputs("0", ["c1", "c2", "c3"])) == {"c1", "c2"}

    async def test_a_cause_may_be_decided_in_two_shards(self, store: JournalStore) -> None:
        fates = await store.insert([block("0", 1, ["c1"])]) | await store.insert([block("1", 1, ["c1"])])

        assert fates == {"0": CommitResult.committed, "1": CommitResult.committed}

    async def test_unless_causes_are_unique_everywhere(self, store_everywhere: JournalStore) -> None:
        await store_everywhere.insert([block("0", 1, ["c1"])])

        assert await store_everywhere.insert([block("1", 1, ["c1"])]) == {"1": CommitResult.input_known}
        assert set(await store_everywhere.known_inputs("1", ["c1"])) == {"c1"}

    async def test_each_of_several_blocks_has_its_own_fate(self, store: JournalStore) -> None:
        await store.insert([block("1", 1, ["taken"])])

        fates = await store.insert(
            [block("0", 1, ["c1"]), block("1", 1, ["c2"]), block("2", 1, ["c3"]), block("3", 1, ["c4"])]
        )

        assert fates == {"1": CommitResult.fenced} | dict.fromkeys(("0", "2", "3"), CommitResult.committed)
        assert [await store.head(shard) is not None for shard in "0123"] == [True] * 4

    async def test_blocks_come_in_order_after_a_number(self, store: JournalStore) -> None:
        chain: list[Block] = []
        for number in range(1, 13):
            chain.append(block("0", number, [f"c{number}"], chain[-1] if chain else None))
            await store.insert([chain[-1]])

        assert await store.blocks_after("0", 9) == chain[9:]
        assert await store.head("0") == chain[-1]

    async def test_what_was_decided_for_an_aggregate_comes_in_order_after_a_number(
        self, store: JournalStore
    ) -> None:
        first = block("0", 1, ["c1"])
        others = Block("0", 2, first.hash, {}, (decision("c2", "b"),), AT).sealed()
        mixed = Block(
            "0", 3, others.hash, {}, (decision("c3", "b"), decision("c4"), decision("c5")), AT
        ).sealed()
        for written in (first, others, mixed, block("1", 1, ["c6"])):
            await store.insert([written])

        assert await store.decided_after("0", 0, "a") == [
            (1, first.decisions[0]),
            (3, mixed.decisions[1]),
            (3, mixed.decisions[2]),
        ]
        assert await store.decided_after("0", 1, "b") == [(2, others.decisions[0]), (3, mixed.decisions[0])]
        assert await store.decided_after("0", 3, "a") == []
        assert await store.decided_after("0", 0, "never") == []

    async def test_blocks_with_messages_are_unsent_up_to_where_the_shard_is_sent(
        self, store: JournalStore
    ) -> None:
        first = block("0", 1, ["c1"])
        second = block("0", 2, ["c2"], first, topic=None)
        third = block("0", 3, ["c3"], second)
        for written in (first, second, third):
            await store.insert([written])
        assert await store.unsent("0") == [first, third]

        await store.save([], {}, {"0": 1, "1": 7})

        assert await store.unsent("0") == [third]
        assert await store.unsent("1") == []

    async def test_where_marks_are_lost_the_newest_block_says_how_far_a_shard_was_sent(
        self, store: JournalStore
    ) -> None:
        first = block("0", 1, ["c1"])
        second = replace(block("0", 2, ["c2"], first), sent_to=1)
        await store.insert([first])
        await store.insert([second])

        assert await store.sent_to("0") == 1
        assert await store.unsent("0") == [second]
        assert second.sealed().hash == second.hash

    async def test_how_far_a_shard_is_never_goes_back(self, store: JournalStore) -> None:
        first = block("0", 1, ["c1"])
        await store.insert([first])
        await store.save([], {"0": 5}, {"0": 1})

        await store.save([], {"0": 4}, {"0": 0})
        await store.save([], {}, {})

        assert await store.folded_to("0") == 5
        assert await store.folded_to("1") == 0
        assert await store.unsent("0") == []

    async def test_a_newer_state_is_never_replaced_by_an_older(self, store: JournalStore) -> None:
        await store.save([folded("a", 5), folded("b", 2)], {"0": 5}, {})

        await store.save([folded("a", 4), folded("b", 3)], {}, {})

        kept = await store.states(["a", "b", "absent"])
        assert {name: state.block_no for name, state in kept.items()} == {"a": 5, "b": 3}

    async def test_open_states_are_those_of_the_shard_that_are_not_final(self, store: JournalStore) -> None:
        await store.save([folded("a", 1), folded("b", 1, is_final=True), folded("c", 1, shard="1")], {}, {})

        assert [state.aggregate_id for state in await store.open_states("0")] == ["a"]

    async def test_final_states_are_known_by_their_ids(self, listing_store: JournalStore) -> None:
        ids = [final_id("a", 7, after=3), final_id("b", 7, after=3), final_id("c", 7, after=2, shard="1")]
        await listing_store.save([*ids, folded("d", 6)], {"0": 7}, {})
        await listing_store.save([final_id("e", 9, after=7)], {"0": 9}, {})

        found = await listing_store.states(["a", "c", "d", "e", "absent"])

        assert found == {"a": ids[0], "c": ids[2], "d": folded("d", 6), "e": final_id("e", 9, after=7)}
        assert [state.aggregate_id for state in await listing_store.open_states("0")] == ["d"]

    async def test_the_newest_of_a_stored_state_and_an_id_counts(self, listing_store: JournalStore) -> None:
        await listing_store.save([final_id("a", 5), final_id("b", 5)], {"0": 5}, {})
        # An older owner saves late; the newer owner decides again.
        await listing_store.save([folded("a", 3)], {}, {})
        await listing_store.save([replace(folded("b", 6), is_new=False)], {"0": 6}, {})

        assert await listing_store.states(["a", "b"]) == {"a": final_id("a", 5), "b": folded("b", 6)}
        assert [state.aggregate_id for state in await listing_store.open_states("0")] == ["b"]

    async def test_the_same_ids_may_be_saved_again(self, listing_store: JournalStore) -> None:
        for _ in range(2):
            await listing_store.save([final_id("a", 5), final_id("b", 5)], {"0": 5}, {})

        assert await listing_store.states(["b"]) == {"b": final_id("b", 5)}

    async def test_what_a_writer_takes_for_new_may_be_there_and_what_it_takes_for_old_may_not(
        self, store: JournalStore
    ) -> None:
        await store.save([folded("a", 5), replace(folded("b", 5), is_new=False)], {"0": 5}, {})
        await store.save([folded("a", 6), folded("b", 4)], {"0": 6}, {})

        assert {name: state.block_no for name, state in (await store.states("ab")).items()} == {
            "a": 6,
            "b": 5,
        }

    async def test_entities_are_found_by_id_and_a_newer_one_is_never_replaced_by_an_older(
        self, store: JournalStore
    ) -> None:
        await store.save([], {}, {}, [entity("a/x", 5), entity("a/y", 2), entity("b/x", 1)])

        await store.save([], {}, {}, [entity("a/x", 4), entity("a/y", 3)])
        await store.save([], {}, {}, [entity("a/y", 3)])

        found = await store.entities(["a/x", "a/y", "a/absent"])
        assert found == {"a/x": entity("a/x", 5), "a/y": entity("a/y", 3)}
        assert await store.entities([]) == {}

    async def test_blocks_come_some_at_a_time(self, store: JournalStore) -> None:
        chain: list[Block] = []
        for number in range(1, 8):
            chain.append(block("0", number, [f"c{number}"], chain[-1] if chain else None))
            await store.insert([chain[-1]])

        assert await store.blocks_after("0", 0, limit=3) == chain[:3]
        assert await store.blocks_after("0", 3, limit=3) == chain[3:6]
        assert await store.blocks_after("0", 6, limit=3) == chain[6:]
        assert await store.blocks_after("0", 7, limit=3) == []

    @pytest.mark.parametrize("count", [0, 1, 40])
    async def test_known_causes_give_the_whole_decision(self, store: JournalStore, count: int) -> None:
        inputs = [f"c{number}" for number in range(count)]
        if inputs:
            await store.insert([block("0", 1, inputs)])

        known = await store.known_inputs("0", [*inputs, "absent"])

        assert known == {input_: decision(input_) for input_ in inputs}

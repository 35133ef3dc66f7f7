"""The journals of every released build fold, in this one, to the states that they always folded to."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from scripts.journals import (
    JOURNALS_FOLDER,
    deciders,
    fold,
    read_blocks,
    state_line,
    states_path,
    states_text,
)
from tests.support.chain import verify_chain
from tests.support.clock import SetClock
from tests.support.fakes.memory_journal import MemoryBus, MemoryJournalStore
from winnow.contracts.decider import Decider
from winnow.contracts.topics import MESSAGES, route
from winnow.eventstore import Block, Journal
from winnow.eventstore.codec import Codec
from winnow.eventstore.loading import Loader
from winnow.eventstore.model import Snapshot

RELEASES = sorted(path for path in JOURNALS_FOLDER.iterdir() if path.is_dir())
RECORDED = [
    pytest.param(release, decider, id=f"{release.name}-{name}")
    for release in RELEASES
    for name, decider in deciders().items()
]


@pytest.mark.parametrize(("release", "decider"), RECORDED)
def test_a_released_journal_folds_to_the_same_states(release: Path, decider: Decider[Any]) -> None:
    path = states_path(release, decider)
    assert path.exists(), "a new shape of a state: python -m scripts.record_journals --fold writes this file"
    assert states_text(release, decider) == path.read_text()


@pytest.mark.parametrize(("release", "decider"), RECORDED)
async def test_a_service_takes_a_released_journal_over(release: Path, decider: Decider[Any]) -> None:
    """The journal loads the blocks as a service does at its start, by the rules of this build."""
    documents = read_blocks(release / f"{decider.producer}.ndjson")
    blocks = [Block.from_document(document) for document in documents]
    shards = sorted({block.shard for block in blocks})
    store = MemoryJournalStore(blocks={block.block_id: block for block in blocks})
    for shard in shards:
        assert verify_chain(store.chain(shard)) is None
        # All that was recorded is on the bus.
        store.marks[shard] = store.chain(shard)[-1].block_no
    journal: Journal[Any] = Journal(decider, store, MemoryBus(), SetClock(), shards=4, save_every_s=3600)
    journal.assign(shards)
    writing = asyncio.create_task(journal.run())
    try:
        await journal.drain()
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
    assert journal.held_shards() == {}
    assert len(store.blocks) == len(blocks)
    wanted = [state_line(state) for state in fold(decider, documents)]
    if decider.stores_states:
        folded = [await _whole(store, decider, store.kept[key]) for key in sorted(store.kept)]
        assert [state_line(state) for state in folded] == wanted
        assert any(not state.state for state in store.kept.values()) is not decider.stores_finals


async def _whole(store: MemoryJournalStore, decider: Decider[Any], kept: Snapshot) -> Snapshot:
    """Return a stored state; one of which the id alone is kept as a late message meets it."""
    if kept.state:
        return kept
    codec = Codec(decider, route)
    restored = await Loader(codec, store).restore_all(kept.shard, [kept])
    return codec.dump(kept.aggregate_id, kept.shard, restored[kept.aggregate_id])


def test_the_released_journals_hold_every_event_that_stays_in_a_journal() -> None:
    """Of the first release: later ones may add types, which its journals cannot hold."""
    first = RELEASES[0]
    written = {
        entry["type"]
        for path in sorted(first.glob("*.ndjson"))
        if ".states." not in path.name
        for block in read_blocks(path)
        for decision in block["decisions"]
        for entry in decision["entries"]
        if entry["topic"] is None
    }
    assert len(written) == 29
    assert written <= {
        event.type_name() for decider in deciders().values() for event in decider.private_events
    }


def test_a_released_journal_holds_no_text_of_a_client() -> None:
    forbidden = {"prompt", "negative_prompt", "secret", "api_key"}

    def names(value: Any) -> set[str]:
        match value:
            case dict():
                return set(value) | {name for inner in value.values() for name in names(inner)}
            case list():
                return {name for inner in value for name in names(inner)}
            case _:
                return set()

    for release in RELEASES:
        for name in deciders():
            for block in read_blocks(release / f"{name}.ndjson"):
                for decision in block["decisions"]:
                    for entry in decision["entries"]:
                        assert not forbidden & names(json.loads(entry["body"])), entry["type"]
                        assert entry["topic"] is None or entry["type"] in MESSAGES

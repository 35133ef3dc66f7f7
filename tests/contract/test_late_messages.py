"""A late message to a task that is known as ended by its id is decided as on the whole state that was never stored."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from scripts.journals import JOURNALS_FOLDER, deciders, fold, read_blocks
from services.router.domain.messages import Observed
from tests.support.clock import SetClock
from tests.support.fakes.memory_journal import MemoryBus, MemoryJournalStore
from tests.unit.router.builders import SHA, accepted, market, opened
from winnow.contracts.decider import Decider, Tick
from winnow.contracts.errors import ErrorCode
from winnow.contracts.events import (
    CandidatesScored,
    TaskAccepted,
    TaskCancelRequested,
    TaskFunded,
    TaskUnfunded,
)
from winnow.eventstore import Block, Decided, Input, Journal

LISTED = sorted(name for name, decider in deciders().items() if not decider.stores_finals)


def late_messages(task_id: str, chunk_ids: Sequence[str]) -> list[Any]:
    """Return what may reach a task after its end: repeats of its beginning, a cancel, verdicts, time."""
    order = accepted(1, task_id=task_id)
    ids: dict[str, Any] = {"task_id": task_id, "account_id": order.account_id}
    reserved = ids | {"reservation_id": order.reservation_id}
    verdicts = [
        CandidatesScored(
            **ids,
            chunk_id=chunk_id,
            round_index=0,
            profile=order.profile,
            profile_sha256=SHA,
            scorer_version="late",
            models={},
            candidates=[],
        )
        for chunk_id in chunk_ids
    ]
    return [
        order,
        TaskFunded(**reserved, reserved_credits_micro=1),
        TaskUnfunded(**reserved, code=ErrorCode.insufficient_credits, shortfall_credits_micro=1),
        TaskCancelRequested(**ids),
        *verdicts,
        Tick(),
    ]


def _as_input(name: str, message: Any) -> Any:
    if name != "router" or isinstance(message, Tick):
        return message
    on = market()
    return opened(message, on) if isinstance(message, TaskAccepted) else Observed(message, on)


async def _decided(decider: Decider[Any], blocks: Sequence[Block], inputs: Sequence[Input]) -> list[Any]:
    """Take a journal over and save it; decide inputs as they come to a state that is not in memory."""
    store = MemoryJournalStore(blocks={block.block_id: block for block in blocks})
    journal: Journal[Any] = Journal(decider, store, MemoryBus(), SetClock(), shards=4, save_every_s=3600)
    journal.assign(map(str, range(4)))
    writing = asyncio.create_task(journal.run())
    try:
        await journal.drain()
        finals = [state for state in store.kept.values() if state.is_final]
        assert {bool(state.state) for state in finals} == {decider.stores_finals}
        decided: list[Any] = []
        for input_ in inputs:
            assert journal.state(input_.aggregate_id) is None
            answer: Decided[Any] = await journal.submit(input_)
            decided.append((answer, await journal.read_state(input_.aggregate_id)))
    finally:
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
    assert len(store.blocks) == len(blocks), "an ended task decides nothing"
    return decided


@pytest.mark.parametrize("name", LISTED)
async def test_a_late_message_is_decided_as_on_the_stored_state(name: str) -> None:
    decider = deciders()[name]
    documents = read_blocks(JOURNALS_FOLDER / "0.1.0" / f"{name}.ndjson")
    blocks = [Block.from_document(document) for document in documents]
    commands = [entry for block in blocks for decision in block.decisions for entry in decision.entries]
    chunks = [entry.document() for entry in commands if entry.type == "ScoreCandidates"]
    inputs = [
        Input(state.aggregate_id, f"{state.aggregate_id}-{number}", _as_input(name, message), "late")
        for state in fold(decider, documents)
        if state.is_final
        for number, message in enumerate(
            late_messages(
                state.aggregate_id,
                [chunk["chunk_id"] for chunk in chunks if chunk["task_id"] == state.aggregate_id],
            )
        )
    ]
    assert len(inputs) > 100
    listed = await _decided(decider, blocks, inputs)
    assert listed == await _decided(replace(decider, stores_finals=True), blocks, inputs)


def test_the_runs_and_the_funding_of_tasks_are_kept_by_their_ids() -> None:
    assert LISTED == ["ingest", "router"]

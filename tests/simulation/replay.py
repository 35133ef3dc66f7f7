"""Replay: the journals alone give the states again that the processes hold and the stores keep."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from services.delivery.domain import decide as delivery
from services.ingest.domain.funding_workflow import FUNDING_DECIDER
from services.ingest.domain.requests import REQUEST_DECIDER
from services.ledger.domain.decide import DECIDER as LEDGER_DECIDER
from services.router.domain.decide import DECIDER as ROUTER_DECIDER
from tests.simulation.checker import check
from tests.simulation.database import Storage
from tests.simulation.light import codec_of
from tests.simulation.services import SimulatedLine
from winnow.contracts.decider import Decider
from winnow.contracts.journals import REQUEST_COLLECTIONS
from winnow.contracts.topics import route
from winnow.eventstore import Block
from winnow.eventstore.codec import Cached, Codec
from winnow.eventstore.entities import Known, Overlay
from winnow.eventstore.model import state_format_of

_DECIDERS: dict[tuple[str, str], Decider[Any]] = {
    ("ingest", REQUEST_COLLECTIONS): REQUEST_DECIDER,
    ("ingest", ""): FUNDING_DECIDER,
    ("ledger", ""): LEDGER_DECIDER,
    ("router", ""): ROUTER_DECIDER,
    ("delivery", ""): delivery.decider(delivery.Policy()),
}


def check_replay(line: SimulatedLine) -> None:
    """Fold every journal from its first block; compare with what was kept at that block and what is held now."""
    for (service, prefix), decider in _DECIDERS.items():
        codec = codec_of(decider, route)
        rows = line.storages[service][f"{prefix}journal"].rows.values()
        held, at_block, entities = _folded(codec, rows)
        heads = {row["shard"]: row["block_no"] for row in sorted(rows, key=lambda row: row["block_no"])}
        suffix = "" if state_format_of(decider) == 1 else f"_{state_format_of(decider)}"
        for row in line.storages[service].get(f"{prefix}entities{suffix}", Storage()).rows.values():
            place = (row["_id"], row["block_no"])
            check(
                entities.get(place) == row["body"],
                "I7",
                f"{service} keeps an entity of {place} that replay does not give",
            )
        for row in line.storages[service].get(f"{prefix}state{suffix}", Storage()).rows.values():
            if "state" not in row:
                _check_finals(row, codec, held, at_block, service)
                continue
            place = (row["_id"], row["block_no"])
            check(
                at_block.get(place) == row["state"],
                "I7",
                f"{service} keeps a state of {place} that replay does not give",
            )
        for journals in (line.journals[name] for name in line.journals if name.startswith(service)):
            for journal in journals:
                if journal._decider.state_type is decider.state_type:
                    _compare(journal, held, heads, service)


def _folded(
    codec: Codec[Any], rows: Any
) -> tuple[dict[str, Cached[Any]], dict[tuple[str, int], str], dict[tuple[str, int], str]]:
    """Return the newest states, and the text of every state and of every entity at the blocks that changed them."""
    held: dict[str, Cached[Any]] = {}
    at_block: dict[tuple[str, int], str] = {}
    known: dict[str, Known[Any]] = {}
    entities: dict[tuple[str, int], str] = {}
    chains: dict[str, list[Block]] = defaultdict(list)
    for row in rows:
        chains[row["shard"]].append(Block.from_document(row))
    for chain in chains.values():
        for block in sorted(chain, key=lambda link: link.block_no):
            overlay = Overlay(block.block_no, known)
            for decision in block.decisions:
                aggregate_id = decision.aggregate_id
                before = held.get(aggregate_id) or Cached(codec.decider.initial(aggregate_id))
                held[aggregate_id] = codec.fold(before, decision, block.block_no, overlay)
            known |= overlay.changed
            for key, changed in overlay.changed.items():
                assert codec.entities is not None
                entities[key, block.block_no] = codec.entities.stored(key, block.shard, changed).body
            for aggregate_id in {decision.aggregate_id for decision in block.decisions}:
                at_block[aggregate_id, block.block_no] = codec.dump(
                    aggregate_id, block.shard, held[aggregate_id]
                ).state
    return held, at_block, entities


def _check_finals(
    row: dict[str, Any], codec: Codec[Any], held: dict[str, Cached[Any]], at_block: Any, service: str
) -> None:
    """Check that the aggregates of a list are final, and that all of their blocks are those of the list."""
    blocks = defaultdict(list)
    for aggregate_id, block_no in at_block:
        blocks[aggregate_id].append(block_no)
    for aggregate_id in row["ids"]:
        check(
            codec.decider.is_final(held[aggregate_id].state)
            and row["after"] < min(blocks[aggregate_id]) <= max(blocks[aggregate_id]) <= row["block_no"],
            "I7",
            f"{service} lists {aggregate_id} as final and decides {blocks[aggregate_id]} for it",
        )


def _compare(journal: Any, held: dict[str, Cached[Any]], heads: dict[str, int], service: str) -> None:
    """Compare what is in memory: who was told that it lost a shard holds nothing of it; who was not is behind."""
    for memory in journal._ownership.memories.values():
        check(journal.owns(memory.name), "I7", f"{service} keeps shard {memory.name}, which it has given up")
        if memory.head_no != heads.get(memory.name, 0):
            continue
        for aggregate_id, live in memory.cached.items():
            folded = held.get(aggregate_id)
            check(
                folded is not None and folded.state == live.state and folded.seq == live.seq,
                "I7",
                f"{service} holds a state of {aggregate_id} that replay does not give",
            )

"""The rules of every journal, and the recorded journals of released builds."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any, Final

from winnow.audit.replay import ShardFold
from winnow.contracts.decider import Decider
from winnow.eventstore.model import Snapshot, canonical

ROOT: Final = Path(__file__).resolve().parent.parent
JOURNALS_FOLDER: Final = ROOT / "tests/contract/journals"


def deciders() -> dict[str, Decider[Any]]:
    """Return the rules of every journal by the name of its producer."""
    delivery = importlib.import_module("services.delivery.domain.decide")
    return {
        "ledger": importlib.import_module("services.ledger.domain.decide").DECIDER,
        "router": importlib.import_module("services.router.domain.decide").DECIDER,
        "delivery": delivery.decider(delivery.Policy()),
        "ingest": importlib.import_module("services.ingest.domain.funding_workflow").FUNDING_DECIDER,
        "ingest-api": importlib.import_module("services.ingest.domain.requests").REQUEST_DECIDER,
    }


def read_blocks(path: Path) -> list[dict[str, Any]]:
    """Return the block documents of a recorded journal, by shard and number."""
    return [json.loads(line) for line in path.read_text().splitlines()]


def fold(decider: Decider[Any], blocks: list[dict[str, Any]]) -> list[Snapshot]:
    """Return the states that blocks fold to, by aggregate; raises BrokenChain."""
    folds: dict[str, ShardFold[Any]] = {}
    for block in blocks:
        shard = block["shard"]
        lane = f"journal/{decider.producer}/{shard}"
        folds.setdefault(shard, ShardFold(decider, lane)).take(block)
    states = [state for shard in folds.values() for state in shard.folded()]
    return sorted(states, key=lambda state: (state.aggregate_id, state.shard))


def state_line(state: Snapshot) -> str:
    """Write a state as a line of text; equal states give equal bytes."""
    return canonical(
        {
            "aggregate_id": state.aggregate_id,
            "block_no": state.block_no,
            "is_final": state.is_final,
            "published": state.published,
            "seq": state.seq,
            "shard": state.shard,
            "state": json.loads(state.state),
        }
    ).decode()


def states_path(folder: Path, decider: Decider[Any]) -> Path:
    """Return where the states of a recorded journal lie in the shape that a decider keeps them in."""
    return folder / f"{decider.producer}.states.v{decider.state_version}.ndjson"


def states_text(folder: Path, decider: Decider[Any]) -> str:
    """Return the states that a recorded journal folds to, a state on each line."""
    blocks = read_blocks(folder / f"{decider.producer}.ndjson")
    return "".join(f"{state_line(state)}\n" for state in fold(decider, blocks))


def write_states(folder: Path) -> list[Path]:
    """Write the states of a folder's journals where this build's shape of them is not there yet, for the older one."""
    missing = {states_path(folder, decider): decider for decider in deciders().values()}
    missing = {path: decider for path, decider in missing.items() if not path.exists()}
    for path, decider in missing.items():
        for older in folder.glob(f"{decider.producer}.states.v*.ndjson"):
            older.unlink()
        path.write_text(states_text(folder, decider))
    return sorted(missing)

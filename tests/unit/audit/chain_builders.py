"""Blocks, records and a profile as the audit reads them."""

from __future__ import annotations

from datetime import UTC, datetime
from math import log
from typing import Any

from winnow.adapters.partitions import Source
from winnow.audit.chains import digest_of
from winnow.audit.profiles import DimensionRule, Profile, ScoreMap
from winnow.contracts.values import ProfileRef
from winnow.eventstore import Block, Decision
from winnow.eventstore.model import GENESIS, Entry

PROFILE_REF, SHA256 = ProfileRef(name="headshot", version=1), "0" * 64
PROFILES = {
    SHA256: Profile(
        PROFILE_REF, SHA256, "mean", {"sharpness": DimensionRule("sharpness", 1, True, 50.0, 1.0, ScoreMap())}
    )
}
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def blocks(count: int, shard: str = "0", *, with_entries: bool = False) -> list[dict[str, Any]]:
    """Seal a chain and return it as it is stored."""
    entry = Entry(topic="topic", key="key", type="type", is_command=False, body='{"event_id":"e"}')
    entries = (entry, entry) if with_entries else ()
    previous, documents = GENESIS, []
    for number in range(1, count + 1):
        decision = Decision(f"account_{number}", 1, f"cause_{number}", "f", entries)
        block = Block(shard, number, previous, {Source("commands", 0): number}, (decision,), AT).sealed()
        previous = block.hash
        documents.append(block.to_document())
    return documents


def rewritten(documents: list[dict[str, Any]], from_no: int) -> list[dict[str, Any]]:
    """Change a block and give all that follow new hashes, as someone who holds the store could."""
    changed = [dict(document) for document in documents]
    changed[from_no - 1] |= {"offsets": []}
    for index in range(from_no - 1, len(changed)):
        previous = changed[index - 1]["hash"] if index else GENESIS
        changed[index] |= {"prev_hash": previous}
        changed[index]["hash"] = digest_of(changed[index])
    return changed


def records(count: int) -> list[dict[str, Any]]:
    """Return records of a partition that hold nothing the audit knows."""
    return [
        {"offset": index, "timestamp_ms": index, "key": "k", "headers": [], "body": f"{index}"}
        for index in range(count)
    ]


def raw_of(score: float) -> float:
    """Return the raw value that has this score under the map of the profile here."""
    return log(score / (100 - score))

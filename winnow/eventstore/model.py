"""Model of the journal: inputs, decisions, blocks, snapshots, and who is told about them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Protocol, TypeVar

from winnow.adapters.partitions import Source
from winnow.contracts.decider import Decider
from winnow.contracts.envelope import Message, RecordedMessage

GENESIS: Final = "0" * 64
"""The hash before the first block of a shard."""

S = TypeVar("S")
Seen_contra = TypeVar("Seen_contra", contravariant=True)


@dataclass(frozen=True, slots=True)
class Input:
    """One message for one aggregate. The same ``input_id`` is decided once; ``fingerprint`` tells a repeat from a clash."""

    aggregate_id: str
    input_id: str
    message: object
    correlation_id: str
    fingerprint: str = ""
    traceparent: str | None = None


def state_format_of(decider: Decider[Any]) -> int:
    """Return the format of a decider's collections: with entities, a new version of the state is a new format.

    Entities are folded beside the state that they leave, so that one cannot be folded anew without the other.
    With ids in the place of final states it is 2: an older build would not find those.
    """
    if decider.entity_rules is not None:
        return decider.state_version
    return 1 if decider.stores_finals else 2


class Listener(Protocol[Seen_contra]):
    """Told about commits and ownership; must return at once and must not raise."""

    def committed(self, block: Block) -> None:
        """Take a committed block, before its decisions are noted."""

    def changed(
        self, aggregate_id: str, state: Seen_contra, recorded: Sequence[RecordedMessage[Message]]
    ) -> None:
        """Note a committed decision."""

    def loaded(self, shard: str, states: Mapping[str, Seen_contra]) -> None:
        """Take the open states of a loaded shard."""

    def unloaded(self, shard: str) -> None:
        """Forget a shard that is no longer ours."""


DecidedHook = Callable[[S], None]
"""Told each decided state before its block is inserted, which may fail; what it submits is decided after that."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One message of a decision: where it goes (None: nowhere, it stays here) and its JSON text.

    ``body`` is kept as text, so that what is sent again after a crash is the same to the byte.
    """

    topic: str | None
    key: str
    type: str
    is_command: bool
    body: str

    def document(self) -> dict[str, Any]:
        """Read the flat form."""
        document: dict[str, Any] = json.loads(self.body)
        return document


@dataclass(frozen=True, slots=True)
class Decision:
    """Decision of one input for one aggregate; ``seq`` counts its decisions from 1."""

    aggregate_id: str
    seq: int
    input_id: str
    fingerprint: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """A committed batch of one shard: state change, inbox, outbox, offsets and hash chain in one document."""

    shard: str
    block_no: int
    prev_hash: str
    offsets: Mapping[Source, int]
    decisions: tuple[Decision, ...]
    at: datetime
    hash: str = field(default="")
    sent_to: int = 0
    """The newest block of the shard that was on the bus, with all before it, when this one was written.

    Outside the hash: it says how far the outbox was, not what was decided.
    """

    @property
    def block_id(self) -> str:
        """Name the block; unique, which is what fences a stale owner."""
        return f"{self.shard}:{self.block_no}"

    @property
    def has_messages(self) -> bool:
        """Return whether anything in it is for the bus."""
        return any(entry.topic for decision in self.decisions for entry in decision.entries)

    def sealed(self) -> Block:
        """Return the block with its hash over everything before it."""
        return replace(self, hash=self.digest())

    def digest(self) -> str:
        """Hash the block's content and its predecessor's hash."""
        body = self.to_document()
        hashed = ("shard", "block_no", "prev_hash", "offsets", "decisions", "at")
        content = {name: body[name] for name in hashed}
        return hashlib.sha256(canonical(content)).hexdigest()

    def to_document(self) -> dict[str, Any]:
        """Return the stored form."""
        return {
            "_id": self.block_id,
            "shard": self.shard,
            "block_no": self.block_no,
            "prev_hash": self.prev_hash,
            "hash": self.hash,
            "offsets": [
                {"topic": source.topic, "partition": source.partition, "next": offset}
                for source, offset in sorted(self.offsets.items())
            ],
            "causes": [decision.input_id for decision in self.decisions],
            "decisions": [
                {
                    "aggregate_id": decision.aggregate_id,
                    "seq": decision.seq,
                    "cause_id": decision.input_id,
                    "fingerprint": decision.fingerprint,
                    "entries": [
                        {name: getattr(entry, name) for name in Entry.__slots__} for entry in decision.entries
                    ],
                }
                for decision in self.decisions
            ],
            "at": self.at.isoformat(),
            "sent_to": self.sent_to,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Block:
        """Read the stored form."""
        return cls(
            shard=document["shard"],
            block_no=document["block_no"],
            prev_hash=document["prev_hash"],
            offsets={Source(row["topic"], row["partition"]): row["next"] for row in document["offsets"]},
            decisions=tuple(decision_from_document(decision) for decision in document["decisions"]),
            at=datetime.fromisoformat(document["at"]),
            hash=document["hash"],
            sent_to=document.get("sent_to", 0),
        )


def decision_from_document(document: Mapping[str, Any]) -> Decision:
    """Read a stored decision."""
    return Decision(
        aggregate_id=document["aggregate_id"],
        seq=document["seq"],
        input_id=document["cause_id"],
        fingerprint=document["fingerprint"],
        entries=tuple(Entry(**entry) for entry in document["entries"]),
    )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An aggregate's state as it is kept: JSON text, with how far it is folded."""

    aggregate_id: str
    shard: str
    block_no: int
    seq: int
    published: int
    state: str
    is_final: bool
    state_version: int = 1
    after: int = 0
    """Of a final state that was never stored, whose text is empty: all its decisions stand after this block."""
    is_new: bool = field(default=True, compare=False)
    """False where the writer knows that the store has an older state; the store looks all the same."""


def canonical(value: Any) -> bytes:
    """Write JSON in one fixed way, so that equal values give equal bytes."""
    return json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False).encode()


def content_fingerprint(content: bytes) -> str:
    """Return a short hash of an input's content, to tell a repeat from a clash."""
    return hashlib.sha256(content).hexdigest()[:32]

"""Hash chains: one per shard of a journal, one per partition of a topic. Pure.

A journal's blocks carry their chain. A topic's records carry none, so theirs is computed while reading, from
the partition's first record on. It proves nothing by itself, and every change against an anchor made earlier.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final

from winnow.audit.canonical_json import fast_canonical
from winnow.audit.finding import Finding
from winnow.audit.lanes import is_journal
from winnow.eventstore.model import GENESIS, canonical

_CHECK: Final = "chain"
_HASHED: Final = ("shard", "block_no", "prev_hash", "offsets", "decisions", "at")
UNREADABLE: Final = (KeyError, TypeError, ValueError, AttributeError, RecursionError)
"""Errors of reading a document that was tampered with."""


@dataclass(frozen=True, slots=True)
class Head:
    """End of a chain: its first and last number (block number, or offset), and the hash over all between."""

    first: int
    last: int
    hash: str


def digest_of(document: Mapping[str, Any]) -> str:
    """Hash a stored block as its service did; raises KeyError or TypeError for one that is none."""
    return hashlib.sha256(fast_canonical({name: document[name] for name in _HASHED})).hexdigest()


@dataclass(slots=True)
class Chain(ABC):
    """Reading of a lane, with every fault on the way. ``notes`` say what could not be compared."""

    lane: str
    anchored: Head | None = None
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    items_count: int = 0
    first: int = 0
    last: int = 0
    hash: str = GENESIS
    shortened: ClassVar[str]
    """Sentence on a chain that ends before its anchor, by ``last`` and ``anchored``."""

    @abstractmethod
    def take(self, document: Mapping[str, Any]) -> bool:
        """Check the next item; False when it cannot be trusted."""

    def start_at(self, head: Head) -> None:
        """Continue from where an earlier reading ended."""
        self.first, self.last, self.hash = head.first, head.last, head.hash

    @property
    def head(self) -> Head:
        """Return how far the chain goes."""
        return Head(self.first, self.last, self.hash)

    def faults(self) -> list[Finding]:
        """Return every fault so far, with what only shows at the end: a lane that is shorter than its anchor says."""
        if self.anchored is None or self.last >= self.anchored.last:
            return list(self.findings)
        text = self.shortened.format(last=self.last, after=self.last + 1, anchored=self.anchored.last)
        return [*self.findings, Finding(_CHECK, self.lane, text)]

    def _fault(self, text: str) -> None:
        self.findings.append(Finding(_CHECK, self.lane, text))


@dataclass(slots=True)
class BlockChain(Chain):
    """The chain of one shard; takes the stored blocks in order and finds every break."""

    shortened = "it ends at block {last}; blocks {after} to {anchored} were anchored and are gone"

    def take(self, document: Mapping[str, Any]) -> bool:
        """Check the next block; False when its contents cannot be trusted."""
        self.items_count += 1
        try:
            return self._take(document)
        except UNREADABLE as error:
            self.last += 1
            self._fault(f"block {self.last} cannot be read ({type(error).__name__})")
            return False

    def _take(self, document: Mapping[str, Any]) -> bool:
        number, expected = int(document["block_no"]), self.last + 1
        self.first = self.first or number
        if number < expected:
            self._fault(
                f"block {number} stands where block {expected} should: blocks were swapped or repeated"
            )
            return False
        if number > expected:
            gone = (
                f"block {expected} is" if number == expected + 1 else f"blocks {expected} to {number - 1} are"
            )
            self._fault(f"{gone} missing before block {number}")
        elif document["prev_hash"] != self.hash:
            self._fault(f"block {number} does not follow block {expected - 1}: it names another predecessor")
        sound = self._contents(number, document)
        self.last, self.hash = number, str(document["hash"])
        if self.anchored is not None and number == self.anchored.last and self.hash != self.anchored.hash:
            self._fault(
                f"block {number} is not the one that was anchored: the chain was written again from there or before"
            )
        return sound

    def _contents(self, number: int, document: Mapping[str, Any]) -> bool:
        digest = digest_of(document)
        if digest != document["hash"]:
            self._fault(f"the contents of block {number} do not give its hash: it was changed")
            return False
        shard = self.lane.rpartition("/")[2]
        causes = [decision["cause_id"] for decision in document["decisions"]]
        if (document["_id"], document["shard"]) != (f"{shard}:{number}", shard) or document[
            "causes"
        ] != causes:
            self._fault(f"block {number} is kept under the id or the causes of another: blocks were swapped")
            return False
        return True


@dataclass(slots=True)
class RecordChain(Chain):
    """The chain of one partition; takes the records in order."""

    first: int = -1
    last: int = -1
    shortened = "it ends at offset {last}; the records up to {anchored} were anchored and are gone"

    def take(self, document: Mapping[str, Any]) -> bool:
        """Take the next record; False when it stands where it cannot."""
        self.items_count += 1
        try:
            offset, line = int(document["offset"]), canonical(document)
        except UNREADABLE as error:
            self._fault(f"the record after offset {self.last} cannot be read ({type(error).__name__})")
            return False
        if self.first < 0:
            self.first = offset
            self._compare_start()
        elif offset <= self.last:
            self._fault(
                f"the record of offset {offset} stands after that of {self.last}: records were swapped"
            )
            return False
        self.last = offset
        self.hash = hashlib.sha256(self.hash.encode() + line).hexdigest()
        if self.anchored is not None and offset == self.anchored.last and self.hash != self.anchored.hash:
            self._fault(f"the records up to offset {offset} are not those that were anchored")
        return True

    def _compare_start(self) -> None:
        """Drop the anchor of a partition whose oldest records the broker has deleted since."""
        if self.anchored is not None and self.first != self.anchored.first:
            self.notes.append(
                f"{self.lane} begins at offset {self.first} and was anchored from {self.anchored.first}: the records"
                " between have been deleted, so only the archive can be compared with this anchor"
            )
            self.anchored = None


def chain_of(lane: str, anchored: Head | None = None) -> Chain:
    """Begin the chain of a lane."""
    return BlockChain(lane, anchored) if is_journal(lane) else RecordChain(lane, anchored)

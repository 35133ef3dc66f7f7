"""Prefixed ids. An id that names a consequence is derived, so that a repeated input repeats it."""

from __future__ import annotations

import zlib
from enum import StrEnum
from hashlib import sha1
from typing import Annotated, Final
from uuid import UUID

from pydantic import StringConstraints

_NAMESPACE: Final = UUID("6f1d1f0e-7c43-5b7e-9f57-1d6f0b8a2c11").bytes
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


class Prefix(StrEnum):
    """Kind of an id."""

    task = "task"
    candidate = "cand"
    attempt = "att"
    round = "rnd"
    chunk = "chk"
    reservation = "rsv"
    grant = "grt"
    entry = "ent"
    output = "out"
    delivery = "dlv"
    endpoint = "whe"
    event = "evt"
    command = "cmd"
    key = "key"
    input = "inp"


TaskId = Annotated[str, StringConstraints(pattern=rf"^task_{_UUID}$")]
CandidateId = Annotated[str, StringConstraints(pattern=rf"^cand_{_UUID}$")]
AttemptId = Annotated[str, StringConstraints(pattern=rf"^att_{_UUID}$")]
ChunkId = Annotated[str, StringConstraints(pattern=rf"^chk_{_UUID}$")]
ReservationId = Annotated[str, StringConstraints(pattern=rf"^rsv_{_UUID}$")]
GrantId = Annotated[str, StringConstraints(pattern=rf"^grt_{_UUID}$")]
EntryId = Annotated[str, StringConstraints(pattern=rf"^ent_{_UUID}$")]
OutputId = Annotated[str, StringConstraints(pattern=rf"^out_{_UUID}$")]
EventId = Annotated[str, StringConstraints(pattern=rf"^evt_{_UUID}$")]
CommandId = Annotated[str, StringConstraints(pattern=rf"^cmd_{_UUID}$")]
AccountId = Annotated[str, StringConstraints(pattern=r"^acct_[a-z0-9][a-z0-9_-]{0,62}$")]


def derive_id(prefix: Prefix, *parts: str | int) -> str:
    """Derive the id of a consequence from what determines it: the text of a ``uuid5``, without its object."""
    h = sha1(_NAMESPACE + "\x1f".join((prefix, *map(str, parts))).encode(), usedforsecurity=False).hexdigest()
    return f"{prefix}_{h[:8]}-{h[8:12]}-5{h[13:16]}-{'89ab'[int(h[16], 16) & 3]}{h[17:20]}-{h[20:32]}"


def derive_seed(*parts: str | int) -> int:
    """Derive a generation seed in [0, 2**31) from what determines it (task, round, index)."""
    return zlib.crc32(chr(31).join(map(str, parts)).encode()) & 0x7FFF_FFFF


def shard_of(aggregate_id: str, shards: int) -> int:
    """Return the shard, which is also the partition, of an aggregate: the one function producers use."""
    return zlib.crc32(aggregate_id.encode()) % shards


def refund_key(refund_id: str) -> str:
    """Return the name of a refund's entry within its account."""
    return f"{refund_id}:refund"


def refund_entry_id(account_id: str, refund_id: str) -> str:
    """Return the id of the entry that a refund leads to: who ordered the refund finds it by this id."""
    return derive_id(Prefix.entry, account_id, refund_key(refund_id))

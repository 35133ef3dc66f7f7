"""Places of the journals, and the private event that another part reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

REQUEST_COLLECTIONS: Final = "http_"
"""Prefix of the collections of ingest's journal of requests; every other journal has none."""

SCORES_NOTED: Final = "router.scores_noted"
"""The router's note of the verdicts, which stands in for the scorer's events in an audit: the scorer has no journal."""


def database_of(service: str) -> str:
    """Name the database of a service whose settings name none."""
    return f"winnow_{service}"


@dataclass(frozen=True, slots=True)
class JournalLocation:
    """Place of a journal: the service's database, and the prefix of its collections."""

    database: str
    prefix: str = ""


JOURNALS: Final = {
    "ledger": JournalLocation(database_of("ledger")),
    "router": JournalLocation(database_of("router")),
    "delivery": JournalLocation(database_of("delivery")),
    "ingest": JournalLocation(database_of("ingest")),
    "ingest-api": JournalLocation(database_of("ingest"), REQUEST_COLLECTIONS),
}
"""Journal → its place, by the name of its producer; in the order in which a running line can be read.

What a service answers to is read after its answer, so that no answer is found without its question.
"""

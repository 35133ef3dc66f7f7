"""The journal: one batch of messages is one block, and one insert is the commit."""

from winnow.runtime.journal.journal import CauseConflict, Consumed, Decided, Journal, NotOwner
from winnow.runtime.journal.model import Block, Cause, Decision, Entry, Listener, Machine, Source, Tick
from winnow.runtime.journal.store import JournalStore, MongoJournalStore

__all__ = [
    "Block",
    "Cause",
    "CauseConflict",
    "Consumed",
    "Decided",
    "Decision",
    "Entry",
    "Journal",
    "JournalStore",
    "Listener",
    "Machine",
    "MongoJournalStore",
    "NotOwner",
    "Source",
    "Tick",
]

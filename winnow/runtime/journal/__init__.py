"""The journal: one batch of messages is one block, and one insert is the commit."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from winnow.runtime.journal.model import Block, Decider, Decision, Entry, Input, Listener, Source, Tick
from winnow.runtime.journal.shard import UnreadableEvent
from winnow.runtime.journal.work import Consumed, Decided, ShardHeld

if TYPE_CHECKING:
    from winnow.runtime.journal.journal import InputReused, Journal, NotOwner
    from winnow.runtime.journal.store import JournalStore, MongoJournalStore

__all__ = [
    "Block",
    "Consumed",
    "Decided",
    "Decider",
    "Decision",
    "Entry",
    "Input",
    "InputReused",
    "Journal",
    "JournalStore",
    "Listener",
    "MongoJournalStore",
    "NotOwner",
    "ShardHeld",
    "Source",
    "Tick",
    "UnreadableEvent",
]


def __getattr__(name: str) -> Any:
    """Import what needs the database's driver when it is first asked for: the scorer keeps nothing."""
    if name not in __all__:
        raise AttributeError(name)
    return getattr(import_module(f"{__name__}.{'store' if 'Store' in name else 'journal'}"), name)

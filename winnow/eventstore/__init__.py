"""The event store: one batch of inputs is one block of a shard's journal, and one insert is the commit."""

from winnow.eventstore.journal import Journal
from winnow.eventstore.model import Block, Decider, Decision, Entry, Input, Listener, Tick
from winnow.eventstore.shard import InputReused, UnreadableEvent
from winnow.eventstore.store import JournalStore, MongoJournalStore
from winnow.eventstore.work import Decided, NotOwner, ShardHeld

__all__ = [
    "Block",
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
    "Tick",
    "UnreadableEvent",
]

"""The event store: one batch of inputs is one block of a shard's journal, and one insert is the commit."""

from winnow.eventstore.codec import UnreadableEvent
from winnow.eventstore.journal import Journal
from winnow.eventstore.model import Block, Decision, Entry, Input, Listener
from winnow.eventstore.mongo_store import MongoJournalStore
from winnow.eventstore.shard import InputReused
from winnow.eventstore.store import JournalStore
from winnow.eventstore.work import Decided, FollowUp, NotOwner, ShardHeld

__all__ = [
    "Block",
    "Decided",
    "Decision",
    "Entry",
    "FollowUp",
    "Input",
    "InputReused",
    "Journal",
    "JournalStore",
    "Listener",
    "MongoJournalStore",
    "NotOwner",
    "ShardHeld",
    "UnreadableEvent",
]

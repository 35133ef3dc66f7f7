"""A journal on a service's database, wired to the life of the service."""

from __future__ import annotations

from winnow.adapters.resources import Resources
from winnow.contracts.decider import Decider
from winnow.eventstore.journal import Journal
from winnow.eventstore.model import Listener, S, state_format_of
from winnow.eventstore.mongo_store import MongoJournalStore
from winnow.eventstore.snapshots import SAVE_EVERY_S
from winnow.runtime.service import Service


def journal_of(
    service: Service,
    resources: Resources,
    decider: Decider[S],
    *,
    listener: Listener[S] | None = None,
    inputs_unique_everywhere: bool = False,
    collections: str = "",
    save_every_s: float = SAVE_EVERY_S,
) -> Journal[S]:
    """Build a journal on the service's database and run it for the life of the service.

    ``collections`` prefixes the collection names, for a service that keeps two journals.
    """
    store = MongoJournalStore(
        resources.mongo.database,
        inputs_unique_everywhere=inputs_unique_everywhere,
        prefix=collections,
        state_format=state_format_of(decider),
        lists_finals=not decider.stores_finals,
    )
    shards, clock = service.settings.shards, service.clock
    journal = Journal(
        decider, store, resources.bus, clock, shards=shards, listener=listener, save_every_s=save_every_s
    )
    service.add_start(store.prepare)
    service.add_task(f"{collections}journal", journal.run)
    service.add_held(f"{collections}journal", journal.held_shards)
    return journal

"""Builds the ledger and runs it: ``python -m services.ledger.main``."""

from __future__ import annotations

from pathlib import Path

from services.ledger import bus, rpc
from services.ledger.app import Ledger
from services.ledger.domain.decide import DECIDER
from services.ledger.projections import EntryFeed
from services.ledger.settings import LedgerSettings
from services.ledger.store.entries import EntryView
from services.ledger.store.prices import PRICES_FOLDER, read_prices
from winnow.adapters.connections import run_bus
from winnow.adapters.resources import connect
from winnow.contracts.topics import LEDGER_COMMAND_TOPIC
from winnow.eventstore.wiring import journal_of
from winnow.runtime.service import Service, run
from winnow.templates import TEMPLATES_FOLDER


def build(settings: LedgerSettings) -> Service:
    """Wire the rooms; nothing connects before the service runs. Raises ValueError for a wrong price list."""
    service = Service("ledger", settings)
    prices = read_prices(
        Path(settings.prices_folder or PRICES_FOLDER), Path(settings.templates_folder or TEMPLATES_FOLDER)
    )
    resources = connect(service, settings)
    view = EntryView(resources.mongo.database, shards=settings.shards)
    service.add_start(view.prepare)
    feed = EntryFeed(view)
    journal = journal_of(service, resources, DECIDER, listener=feed)
    service.add_task("entries", feed.run)
    service.add_grpc(rpc.SERVICE_NAME, rpc.register(Ledger(journal, view, prices, service.clock)))
    bus.subscribe(resources.bus, journal)
    run_bus(service, resources.bus, [LEDGER_COMMAND_TOPIC.name], [journal.drain, feed.drain])
    return service


if __name__ == "__main__":
    run("ledger", LedgerSettings.load, build)

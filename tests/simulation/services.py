"""The five services as their own main modules compose them, on the simulated world."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from services.delivery import bus as delivery_bus
from services.delivery.app.finishing import Finishing, FinishingLimits
from services.delivery.app.reconciler import Reconciler
from services.delivery.app.webhooks import Webhooks
from services.delivery.app.work import performed_by
from services.delivery.domain.decide import Policy, decider
from services.delivery.store import EndpointStore, IndexStore
from services.ingest.app.notifier import Notifier
from services.ingest.app.projection import Projection
from services.ingest.bus import IngestConsumer
from services.ingest.domain.funding_workflow import FUNDING_DECIDER
from services.ingest.domain.requests import REQUEST_DECIDER
from services.ingest.store.requests import RequestJournal
from services.ingest.store.view_writer import MongoViewWriter
from services.ledger import bus as ledger_bus
from services.ledger.domain.decide import DECIDER as LEDGER_DECIDER
from services.ledger.projections import EntryFeed
from services.ledger.store.entries import EntryView
from services.router import bus as router_bus
from services.router.app.router import Limits, Router
from services.router.domain.decide import DECIDER as ROUTER_DECIDER
from services.router.store.journal import RunJournal
from services.scorer.app import Scorer
from services.scorer.bus import ScoreConsumer
from tests.simulation.broker import Cluster, SimulatedBroker
from tests.simulation.builders import CATALOGUE
from tests.simulation.database import SimulatedDatabase, Storage
from tests.simulation.fakes import NoMeter, NoRules, SimulatedProfiles
from tests.simulation.outside import (
    Outside,
    SimulatedImages,
    SimulatedMeasurer,
    SimulatedMedia,
    SimulatedObjects,
    SimulatedProvider,
    SimulatedReceiver,
)
from tests.simulation.world import Process, SimulatedWorld
from winnow.adapters import bus as runtime_bus
from winnow.adapters.bus import Bus
from winnow.contracts.journals import REQUEST_COLLECTIONS
from winnow.eventstore import Journal, MongoJournalStore
from winnow.eventstore.model import state_format_of

_SETTINGS = SimpleNamespace(
    kafka_bootstrap="",
    instance="simulated",
    idempotent_producer=True,
    drain_timeout_s=5,
    batch_records_max=8,
    fetch_max_wait_ms=5,
    fetch_rest_ms=0,
    session_timeout_ms=10_000,
)
_DELIVERY_DECIDER = decider(Policy(schedule_s=(0, 2, 5)))


@dataclass
class SimulatedLine:
    """The services of one run and what they stand on."""

    world: SimulatedWorld
    cluster: Cluster
    outside: Outside
    storages: dict[str, dict[str, Storage]] = field(default_factory=lambda: defaultdict(dict))
    committed: Callable[[str, dict[str, Any]], None] = lambda _service, _row: None
    journals: dict[str, list[Journal[Any]]] = field(default_factory=dict)
    fronts: dict[str, RequestJournal] = field(default_factory=dict)
    meter: NoMeter = field(default_factory=NoMeter)

    def build(self, process: Process) -> None:
        """Compose a process of the service that it is to be."""
        _BUILDERS[process.service](self, process)

    def database(self, process: Process) -> Any:
        return SimulatedDatabase(process, self.storages[process.service])

    def bus(self, process: Process) -> Bus:
        """Make the real bus on a simulated broker."""
        with patch.object(
            runtime_bus, "PromptBroker", lambda *_, **__: SimulatedBroker(process, self.cluster)
        ):
            return Bus(_SETTINGS, process.service)  # type: ignore[arg-type]

    def journal(
        self, process: Process, bus: Bus, decider: Any, *, prefix: str = "", everywhere: bool = False
    ) -> tuple[Journal[Any], MongoJournalStore]:
        """Make a real journal with its real store on a simulated database."""
        service = f"{prefix}{process.service}"

        def inserted(row: dict[str, Any]) -> None:
            self.committed(service, row)

        _prepare(self.storages[process.service], prefix, inserted, everywhere=everywhere)
        store = MongoJournalStore(
            self.database(process),
            inputs_unique_everywhere=everywhere,
            prefix=prefix,
            state_format=state_format_of(decider),
            lists_finals=not decider.stores_finals,
        )
        journal = Journal(decider, store, bus, process.clock, shards=self.world.script.shards)
        process.run(journal.run(), vital=True)
        self.journals.setdefault(process.name, []).append(journal)
        process.on_death.append(self.journals[process.name].clear)
        return journal, store


def _prepare(
    storages: dict[str, Storage], prefix: str, inserted: Callable[[dict[str, Any]], None], *, everywhere: bool
) -> None:
    """State the unique indexes that ``MongoJournalStore.prepare`` makes."""
    blocks = storages.setdefault(f"{prefix}journal", Storage(inserted))
    blocks.unique["chain"] = ("shard", "block_no")
    blocks.unique["cause_once"] = ("causes",) if everywhere else ("shard", "causes")


def _ingest(line: SimulatedLine, process: Process) -> None:
    bus = line.bus(process)
    requests, store = line.journal(process, bus, REQUEST_DECIDER, prefix=REQUEST_COLLECTIONS, everywhere=True)
    shard = f"http-{process.replica}"
    requests.assign([shard])
    line.fronts[process.name] = RequestJournal(requests, store, lambda: shard)
    funding, _ = line.journal(process, bus, FUNDING_DECIDER)
    IngestConsumer(funding, Projection(MongoViewWriter(line.database(process)), Notifier())).subscribe(bus)
    process.run(bus.start(), vital=True)


def _ledger(line: SimulatedLine, process: Process) -> None:
    bus = line.bus(process)
    journal, _ = line.journal(process, bus, LEDGER_DECIDER)
    feed = EntryFeed(EntryView(line.database(process), shards=line.world.script.shards))
    journal.listen(feed)
    ledger_bus.subscribe(bus, journal)
    process.run(feed.run(), vital=True)
    process.run(bus.start(), vital=True)


def _router(line: SimulatedLine, process: Process) -> None:
    bus = line.bus(process)
    record = RunJournal()
    providers = {name: SimulatedProvider(process, line.outside) for name in CATALOGUE.offerings}
    media = SimulatedMedia(SimulatedObjects(process, line.outside), "private")
    script, epoch = line.world.script, f"{process.name}-{process.start}"
    limits = Limits(script.shards, attempts_max=script.attempts_max, epoch=epoch)
    router = Router(CATALOGUE, providers, media, record, process.clock, line.meter, limits)
    journal, _ = line.journal(process, bus, ROUTER_DECIDER)
    journal.listen(router)
    record.bind(journal, router)
    router_bus.subscribe(bus, journal, router)
    process.run(router.run(), vital=True)
    process.run(bus.start(), vital=True)


def _scorer(line: SimulatedLine, process: Process) -> None:
    bus = line.bus(process)
    scorer = Scorer(
        objects=SimulatedObjects(process, line.outside),
        measurer=SimulatedMeasurer(process),
        profiles=SimulatedProfiles(),
        rules=NoRules(),
        models={"simulated": "1"},
    )
    ScoreConsumer(scorer, bus, clock=process.clock, shards=line.world.script.shards).subscribe(bus)
    process.run(bus.start(), vital=True)


def _delivery(line: SimulatedLine, process: Process) -> None:
    bus, database, clock = line.bus(process), line.database(process), process.clock
    endpoints, index = EndpointStore(database), IndexStore(database)
    journal, _ = line.journal(process, bus, _DELIVERY_DECIDER)
    finishing = Finishing(
        journal,
        SimulatedObjects(process, line.outside),
        SimulatedImages(process),
        index,
        clock,
        limits=FinishingLimits(20.0, 1_000_000, 4),
        outputs_bucket="outputs",
        name_key=b"n" * 32,
    )
    webhooks = Webhooks(
        journal,
        endpoints,
        index,
        SimulatedReceiver(process, line.outside),
        clock,
        signing_key=b"s" * 32,
        at_once_max=8,
        per_endpoint_max=2,
    )
    reconciler = Reconciler(performed_by(finishing, webhooks), shards=line.world.script.shards)
    journal.listen(reconciler, on_decided=reconciler.decided)
    delivery_bus.subscribe(bus, journal)
    process.run(bus.start(), vital=True)


_BUILDERS: dict[str, Callable[[SimulatedLine, Process], None]] = {
    "ingest": _ingest,
    "ledger": _ledger,
    "router": _router,
    "scorer": _scorer,
    "delivery": _delivery,
}

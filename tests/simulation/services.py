"""The five services as their own main modules compose them, on the simulated world."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from services.delivery import bus as delivery_bus
from services.delivery.app.finishing import Finishing, FinishingLimits
from services.delivery.app.reconciler import Reconciler
from services.delivery.app.webhooks import Webhooks
from services.delivery.app.work import performed_by
from services.delivery.domain.decide import Policy, decider
from services.delivery.domain.endpoints import Endpoint
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
from services.router import bus as router_bus
from services.router.app.router import Limits, Router
from services.router.domain.catalogue import (
    CallLimits,
    Catalogue,
    ModePolicy,
    Offering,
    Price,
    RoundPolicy,
    SelectionPolicy,
    Template,
    Traits,
)
from services.router.domain.decide import DECIDER as ROUTER_DECIDER
from services.router.store.journal import RunJournal
from services.scorer.app import Scorer
from services.scorer.bus import ScoreConsumer
from services.scorer.domain import Profile
from services.scorer.domain.quality_profile import DimensionRule, Ranking, ScoreMapping
from services.scorer.domain.verdict import RuleOutcome
from tests.simulation.broker import Cluster, SimulatedBroker
from tests.simulation.database import SimulatedDatabase, Storage
from tests.simulation.outside import (
    PRICE_USD_MICRO,
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
from winnow.contracts.errors import ErrorCode, Refused
from winnow.contracts.events import AttemptFinished
from winnow.contracts.journals import REQUEST_COLLECTIONS
from winnow.contracts.values import Mode
from winnow.eventstore import Journal, MongoJournalStore
from winnow.eventstore.model import state_format_of

TEMPLATE, PROFILE = "portrait", "portrait"
_SETTINGS = SimpleNamespace(
    kafka_bootstrap="",
    instance="simulated",
    idempotent_producer=True,
    drain_timeout_s=5,
    batch_records_max=8,
    fetch_max_wait_ms=5,
    session_timeout_ms=10_000,
)


def _offering(name: str, price: int, *, is_async: bool) -> Offering:
    return Offering(
        name=name,
        provider=name,
        model=name,
        capabilities=("image.portrait",),
        prices=(Price(price, date(2026, 1, 1)),),
        max_n=4,
        concurrency_limit=8,
        latency_prior_ms=500,
        pass_prior_ppm={TEMPLATE: 600_000},
        traits=Traits(cancel=is_async),
        limits=CallLimits(total_timeout_s=6, poll_interval_s=0.1, slow_least_s=2),
    )


_RECIPE = Template(
    TEMPLATE,
    1,
    RoundPolicy(
        capability="image.portrait", selection=SelectionPolicy.first_k, rounds_max=2, candidates_max=8
    ),
    {mode: ModePolicy(pinned=mode is Mode.stable) for mode in Mode},
)
CATALOGUE = Catalogue(
    {
        "polled": _offering("polled", PRICE_USD_MICRO, is_async=True),
        "direct": _offering("direct", PRICE_USD_MICRO + 1000, is_async=False),
    },
    {(TEMPLATE, 1): _RECIPE},
)
_PROFILE = Profile(
    name=PROFILE,
    version=1,
    ranking=Ranking.mean,
    dimensions=(
        DimensionRule("sharpness", 1, True, 50.0, 1.0, ScoreMapping(x0=50.0, w=10.0)),
        DimensionRule("near_duplicate", 1, False, 0.0, 0.0, ScoreMapping()),
    ),
    rules=(),
    sha256="5" * 64,
)


class _Profiles:
    def get(self, name: str, version: int | None = None) -> Profile:
        if (name, version) != (PROFILE, 1):
            raise Refused(ErrorCode.unknown_profile, "there is one profile")
        return _PROFILE

    def all(self) -> list[Profile]:
        return [_PROFILE]


class _NoRules:
    def evaluate(self, expression: str, values: object) -> RuleOutcome:
        del expression, values
        return RuleOutcome(None)


@dataclass
class NoMeter:
    """Counts what must not happen."""

    crashes: list[str] = field(default_factory=list)

    def attempt_finished(self, event: AttemptFinished) -> None:
        del event

    def attempt_crashed(self, attempt_id: str, error: Exception) -> None:
        self.crashes.append(f"{attempt_id}: {type(error).__name__}: {error}")


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
    ledger_bus.subscribe(bus, journal)
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
    record.bind(journal)
    router_bus.subscribe(bus, journal, router)
    process.run(router.run(), vital=True)
    process.run(bus.start(), vital=True)


def _scorer(line: SimulatedLine, process: Process) -> None:
    bus = line.bus(process)
    scorer = Scorer(
        objects=SimulatedObjects(process, line.outside),
        measurer=SimulatedMeasurer(process),
        profiles=_Profiles(),
        rules=_NoRules(),
        models={"simulated": "1"},
    )
    ScoreConsumer(scorer, bus, clock=process.clock, shards=line.world.script.shards).subscribe(bus)
    process.run(bus.start(), vital=True)


def _delivery(line: SimulatedLine, process: Process) -> None:
    bus, database, clock = line.bus(process), line.database(process), process.clock
    endpoints, index = EndpointStore(database), IndexStore(database)
    journal, _ = line.journal(process, bus, decider(Policy(schedule_s=(0, 2, 5))))
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
    journal.listen(reconciler)
    delivery_bus.subscribe(bus, journal)
    process.run(bus.start(), vital=True)


def endpoint_row(account_id: str, endpoint_id: str) -> dict[str, Any]:
    """Return the row of a webhook endpoint that hears of every end."""
    endpoint = Endpoint(
        endpoint_id,
        account_id,
        f"https://receiver/{account_id}",
        (),
        enabled=True,
        created_at=datetime(2026, 1, 1, tzinfo=UTC),
    )
    return {
        "_id": endpoint.endpoint_id,
        "account_id": account_id,
        "slot": 0,
        "url": endpoint.url,
        "event_types": [],
        "enabled": True,
        "created_at": endpoint.created_at,
        "failing_since": None,
    }


_BUILDERS: dict[str, Callable[[SimulatedLine, Process], None]] = {
    "ingest": _ingest,
    "ledger": _ledger,
    "router": _router,
    "scorer": _scorer,
    "delivery": _delivery,
}

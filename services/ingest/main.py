"""Wires ingest and runs it: ``python -m services.ingest.main``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import grpc.aio

from services.ingest.api.app_factory import UseCases, build_app, wrap_app
from services.ingest.app.access import Access
from services.ingest.app.account_limits import AccountLimits
from services.ingest.app.accounts import Accounts
from services.ingest.app.notifier import Notifier
from services.ingest.app.offers import Offers
from services.ingest.app.orders import Orders
from services.ingest.app.prices import Prices
from services.ingest.app.projection import Projection
from services.ingest.app.screening import INPUT_BYTES_MAX, InputScreening
from services.ingest.app.task_queries import TaskQueries
from services.ingest.app.webhooks import Webhooks
from services.ingest.bus import IngestConsumer
from services.ingest.clients.delivery import DeliveryClient
from services.ingest.clients.fetching import GuardedFetcher
from services.ingest.clients.files import PrivateFiles
from services.ingest.clients.ledger import LedgerClient
from services.ingest.clients.router import RouterClient
from services.ingest.clients.scorer import ScorerClient
from services.ingest.domain.funding_workflow import FUNDING_DECIDER
from services.ingest.domain.limits import Rate
from services.ingest.domain.requests import REQUEST_DECIDER
from services.ingest.settings import IngestSettings
from services.ingest.store.catalogue import load
from services.ingest.store.keys import MongoAccountSettings, MongoInputs, MongoKeys
from services.ingest.store.leases import HttpShards
from services.ingest.store.requests import RequestJournal
from services.ingest.store.view_writer import MongoViewWriter
from services.ingest.store.views import MongoViews
from winnow.adapters.connections import run_bus
from winnow.adapters.resources import Resources, connect
from winnow.contracts.journals import REQUEST_COLLECTIONS
from winnow.contracts.topics import ACCOUNTS, TASKS
from winnow.egress.client import EgressRules
from winnow.eventstore import MongoJournalStore
from winnow.eventstore.wiring import journal_of
from winnow.runtime.clock import random_bytes
from winnow.runtime.service import Service, run
from winnow.templates import TEMPLATES_FOLDER

_SAVE_EVERY_S = 5.0
_CHANNEL_OPTIONS = (("grpc.keepalive_time_ms", 30_000), ("grpc.enable_retries", 0))


def build(settings: IngestSettings) -> Service:
    """Build the service; nothing connects before it runs."""
    service = Service("ingest", settings)
    resources = connect(service, settings)
    notifier = Notifier()
    requests = _requests(service, resources, settings)
    funding = journal_of(service, resources, FUNDING_DECIDER, save_every_s=_SAVE_EVERY_S)
    consumer = IngestConsumer(funding, Projection(MongoViewWriter(resources.mongo.database), notifier))
    consumer.subscribe(resources.bus)
    run_bus(service, resources.bus, [TASKS.name, ACCOUNTS.name], [funding.drain])
    cases = _use_cases(service, resources, settings, requests, notifier)
    app = build_app(cases, settings.credit_value_usd_micro)
    service.add_http(wrap_app(app, random_bytes), settings.http_port)
    return service


def _requests(service: Service, resources: Resources, settings: IngestSettings) -> RequestJournal:
    """Build the journal of HTTP requests on the shard that this instance leases."""
    database = resources.mongo.database
    journal = journal_of(
        service, resources, REQUEST_DECIDER, inputs_unique_everywhere=True, collections=REQUEST_COLLECTIONS
    )
    store = MongoJournalStore(database, inputs_unique_everywhere=True, prefix=REQUEST_COLLECTIONS)
    holder = f"{settings.instance}-{random_bytes(6).hex()}"
    shards = HttpShards(database, journal, store.unsent, service.clock, holder)
    service.add_start(shards.claim)
    service.add_task("leases", shards.run)
    service.add_drain(journal.drain)
    service.add_drain(shards.release)
    return RequestJournal(journal, store, shards.shard)


def _use_cases(
    service: Service,
    resources: Resources,
    settings: IngestSettings,
    requests: RequestJournal,
    notifier: Notifier,
) -> UseCases:
    """Build what the routes call."""
    clock, database = service.clock, resources.mongo.database
    loaded = load(Path(settings.templates_folder or TEMPLATES_FOLDER))
    keys, inputs, views = MongoKeys(database), MongoInputs(database), MongoViews(database)
    service.add_start(keys.prepare)
    service.add_start(views.prepare)
    files = PrivateFiles(resources.objects, settings.private_bucket)
    ledger = LedgerClient(_channel(service, settings.ledger_address), settings.grpc_timeout_s)
    router = RouterClient(_channel(service, settings.router_address), settings.grpc_timeout_s)
    scorer = ScorerClient(_channel(service, settings.scorer_address), settings.screen_timeout_s)
    delivery = DeliveryClient(_channel(service, settings.delivery_address), settings.grpc_timeout_s)
    rules = EgressRules(plain_http=settings.url_plain_http_allowed, allowed_hosts=settings.url_allowed_hosts)
    fetcher = GuardedFetcher(
        rules,
        timeout_s=settings.url_timeout_s,
        size_bytes_max=INPUT_BYTES_MAX,
        ca_file=settings.url_ca_file,
    )
    service.add_close(fetcher.close)
    access = Access(
        keys=keys,
        clock=clock,
        pepper=settings.key_pepper.get_secret_value().encode(),
        admin_token=settings.admin_token.get_secret_value() if settings.admin_token else None,
        rate=Rate(settings.rate_burst_count, settings.rate_per_second),
        anonymous_rate=Rate(settings.failed_proofs_burst_count, settings.failed_proofs_per_second),
        random_bytes=random_bytes,
    )
    prices = Prices(ledger, router, clock, settings.quote_lifetime_s)
    queries = TaskQueries(
        views=views,
        requests=requests,
        ledger=ledger,
        delivery=delivery,
        files=files,
        notifier=notifier,
        clock=clock,
    )
    limits = AccountLimits(MongoAccountSettings(database), clock)
    orders = Orders(
        catalogue=loaded.catalogue,
        rule=loaded.rule,
        requests=requests,
        prices=prices,
        files=files,
        inputs=inputs,
        limits=limits,
        queries=queries,
        notifier=notifier,
        clock=clock,
        deadline_slack_s=settings.deadline_slack_s,
    )
    return UseCases(
        access=access,
        orders=orders,
        queries=queries,
        offers=Offers(catalogue=loaded.catalogue, prices=prices, router=router),
        accounts=Accounts(
            ledger=ledger, requests=requests, views=views, prices=prices, notifier=notifier, clock=clock
        ),
        screening=InputScreening(files=files, fetcher=fetcher, screener=scorer, inputs=inputs, clock=clock),
        webhooks=Webhooks(delivery),
        limits=limits,
    )


def _channel(service: Service, address: str) -> Any:
    """Open a channel that the service closes; it connects on first use."""
    # grpc.aio binds a channel to the running loop, so this runs inside the service's loop.
    channel = grpc.aio.insecure_channel(address, options=_CHANNEL_OPTIONS)

    async def close() -> None:
        await channel.close(None)

    service.add_close(close)
    return channel


if __name__ == "__main__":
    run("ingest", IngestSettings.load, build)

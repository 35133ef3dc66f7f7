"""One instance of ingest in memory, and the record that its messages and those of other services go through."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import httpx

from services.ingest.api.app_factory import UseCases, wrap_app
from services.ingest.app.access import Access
from services.ingest.app.account_limits import AccountLimits
from services.ingest.app.accounts import Accounts
from services.ingest.app.notifier import Notifier
from services.ingest.app.offers import Offers
from services.ingest.app.orders import Orders
from services.ingest.app.ports import Fetcher
from services.ingest.app.prices import Prices
from services.ingest.app.projection import Projection
from services.ingest.app.screening import InputScreening
from services.ingest.app.task_queries import TaskQueries
from services.ingest.app.webhooks import Webhooks
from services.ingest.bus import IngestConsumer
from services.ingest.domain.funding_workflow import FUNDING_DECIDER
from services.ingest.domain.keys import Scope
from services.ingest.domain.limits import Rate
from services.ingest.domain.requests import REQUEST_DECIDER
from services.ingest.store.catalogue import Loaded, load
from services.ingest.store.requests import RequestJournal
from tests.support.clock import SetClock
from tests.support.fakes.memory_journal import MemoryBus, MemoryJournalStore
from tests.unit.ingest.fakes import FakeDelivery, FakeFetcher, FakeLedger, FakeRouter, FakeScreener
from tests.unit.ingest.memory_stores import (
    START,
    MemoryAccountSettings,
    MemoryFiles,
    MemoryInputs,
    MemoryKeys,
    MemoryViews,
)
from tests.unit.ingest.shared_routes import routes_of
from winnow.adapters.partitions import Source
from winnow.adapters.records import ConsumedRecord
from winnow.contracts.envelope import Envelope, Event, RecordedMessage
from winnow.contracts.events import EntryRecorded
from winnow.contracts.ids import Prefix, derive_id, shard_of
from winnow.contracts.topics import ACCOUNTS, MESSAGES, TASKS, route
from winnow.eventstore import Journal

SHARDS = 4
ADMIN_TOKEN = "an-admin-token-for-tests"


@cache
def _loaded() -> Loaded:
    """Read the catalogue once; nothing changes it."""
    return load()


class IngestApp:
    """One instance of ingest, and the record that its messages and the other services' go through."""

    def __init__(
        self,
        http_store: MemoryJournalStore | None = None,
        shard: str = "http-0",
        fetcher: Fetcher | None = None,
    ) -> None:
        self.clock = SetClock(START, durations_pass=True)
        self.bus = MemoryBus()
        self.http_store = http_store or MemoryJournalStore(everywhere=True)
        self.stage_store = MemoryJournalStore()
        self.requests = Journal(REQUEST_DECIDER, self.http_store, self.bus, self.clock, shards=SHARDS)
        self.funding = Journal(FUNDING_DECIDER, self.stage_store, self.bus, self.clock, shards=SHARDS)
        self.requests.assign([shard])
        self.keys, self.inputs, self.views = MemoryKeys(), MemoryInputs(), MemoryViews()
        self.settings = MemoryAccountSettings()
        self.ledger, self.router, self.screener = FakeLedger(), FakeRouter(), FakeScreener()
        self.delivery, self.files, self.fetcher = FakeDelivery(), MemoryFiles(), FakeFetcher()
        self._fetcher = fetcher or self.fetcher
        self.notifier = Notifier()
        self.projection = Projection(self.views, self.notifier)
        self.consumer = IngestConsumer(self.funding, self.projection)
        self.topic: dict[tuple[str, int], list[ConsumedRecord]] = defaultdict(list)
        self._read: dict[tuple[str, int], int] = defaultdict(int)
        self._published = 0
        self._said = 0
        self.rate = Rate(1000, 1000.0)
        self.anonymous_rate = Rate(5, 1.0)
        self.request_journal = RequestJournal(self.requests, self.http_store, lambda: shard)
        self.cases = self._build()

    def _build(self) -> UseCases:
        loaded = _loaded()
        prices = Prices(self.ledger, self.router, self.clock, 2.0)
        entropy = (hashlib.sha512(str(number).encode()).digest() for number in range(10**6))
        access = Access(
            keys=self.keys,
            clock=self.clock,
            pepper=b"a pepper for tests",
            admin_token=ADMIN_TOKEN,
            rate=self.rate,
            anonymous_rate=self.anonymous_rate,
            random_bytes=lambda count: next(entropy)[:count],
        )
        queries = TaskQueries(
            views=self.views,
            requests=self.request_journal,
            ledger=self.ledger,
            delivery=self.delivery,
            files=self.files,
            notifier=self.notifier,
            clock=self.clock,
        )
        limits = AccountLimits(self.settings, self.clock)
        orders = Orders(
            catalogue=loaded.catalogue,
            rule=loaded.rule,
            requests=self.request_journal,
            prices=prices,
            files=self.files,
            inputs=self.inputs,
            limits=limits,
            queries=queries,
            notifier=self.notifier,
            clock=self.clock,
            deadline_slack_s=120,
        )
        return UseCases(
            access=access,
            orders=orders,
            queries=queries,
            offers=Offers(catalogue=loaded.catalogue, prices=prices, router=self.router),
            accounts=Accounts(
                ledger=self.ledger,
                requests=self.request_journal,
                views=self.views,
                prices=prices,
                notifier=self.notifier,
                clock=self.clock,
            ),
            screening=InputScreening(
                files=self.files,
                fetcher=self._fetcher,
                screener=self.screener,
                inputs=self.inputs,
                clock=self.clock,
            ),
            webhooks=Webhooks(self.delivery),
            limits=limits,
        )

    async def key(self, account_id: str = "acct_one", *scopes: Scope) -> dict[str, str]:
        """Make a key; return the header that carries it."""
        default = (Scope.tasks_write, Scope.tasks_read, Scope.account_read, Scope.webhooks_write)
        _, text = await self.cases.access.create_key(account_id, scopes or default, "test", None)
        return {"Authorization": f"Bearer {text}"}

    def say(self, event: Event, producer: str, sequence: int) -> None:
        """Let another service publish an event."""
        self._said += 1
        to = route(event)
        assert to is not None
        topic, key = to
        envelope = Envelope(
            event_id=derive_id(Prefix.event, "said", self._said),
            occurred_at=self.clock.now(),
            producer=producer,
            subject=key,
            sequence=sequence,
            correlation_id="req_test",
            causation_id="test",
        )
        if isinstance(event, EntryRecorded):
            self.ledger.book(event, envelope.occurred_at)
        self._append(topic, shard_of(key, SHARDS), RecordedMessage(envelope, event))

    def _append(self, topic: str, partition: int, recorded: RecordedMessage[Any]) -> None:
        lane = self.topic[topic, partition]
        lane.append(ConsumedRecord(len(lane), recorded, json.dumps(recorded.to_document()).encode()))

    async def settle(self) -> None:
        """Put what ingest published into the record and let ingest read the record, until nothing is new."""
        while True:
            await self.requests.drain()
            await self.funding.drain()
            for topic, partition, _, body in self.bus.messages[self._published :]:
                document = json.loads(body)
                self._append(
                    topic, partition, RecordedMessage.from_document(document, MESSAGES[document["type"]])
                )
            self._published = len(self.bus.messages)
            fresh = False
            for (topic, partition), lane in list(self.topic.items()):
                start = self._read[topic, partition]
                if topic in {TASKS.name, ACCOUNTS.name} and start < len(lane):
                    fresh = True
                    consumed = await self.consumer.handle(Source(topic, partition), lane[start:])
                    self._read[topic, partition] = consumed.next_offset
            if not fresh and len(self.bus.messages) == self._published:
                return

    def published(self, kind: str) -> list[dict[str, Any]]:
        """Return the messages of a type that ingest has published."""
        documents = [json.loads(body) for _, _, _, body in self.bus.messages]
        return [document for document in documents if document["type"] == kind]


@asynccontextmanager
async def running(world: IngestApp) -> AsyncIterator[httpx.AsyncClient]:
    """Run the journals and yield a client of the routes."""
    app = wrap_app(routes_of(world.cases), lambda count: bytes(range(count)))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    running_tasks = [asyncio.create_task(world.requests.run()), asyncio.create_task(world.funding.run())]
    try:
        async with httpx.AsyncClient(transport=transport, base_url="http://ingest") as client:
            yield client
    finally:
        for task in running_tasks:
            task.cancel()
        await asyncio.gather(*running_tasks, return_exceptions=True)

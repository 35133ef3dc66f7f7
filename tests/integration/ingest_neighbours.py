"""The other services as ingest meets them, in the test's process: four gRPC services, and a ledger on the bus."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import grpc.aio
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from tests.support.builders.task_ids import TaskIds
from tests.unit.ingest.events import Tale
from winnow.contracts.envelope import CONTENT_TYPE, Envelope, Event, RecordedMessage
from winnow.contracts.events import EntryRecorded, TaskFunded, TaskSettled
from winnow.contracts.ids import Prefix, derive_id, shard_of
from winnow.contracts.topics import LEDGER_COMMAND_TOPIC, TASKS, route
from winnow.contracts.values import EntryKind, ProviderCost
from winnow.rpc.delivery.v1 import delivery_pb2, delivery_pb2_grpc
from winnow.rpc.ledger.v1 import ledger_pb2, ledger_pb2_grpc
from winnow.rpc.router.v1 import router_pb2, router_pb2_grpc
from winnow.rpc.scorer.v1 import scorer_pb2, scorer_pb2_grpc

SHARDS = 4
CREDIT = 1_000_000


class Ledger(ledger_pb2_grpc.LedgerServiceServicer):
    def __init__(self) -> None:
        self.booked: list[tuple[EntryRecorded, datetime]] = []

    async def Quote(self, request, context):  # noqa: N802
        return ledger_pb2.QuoteResponse(
            price_per_output_credits_micro=2 * CREDIT,
            reserve_credits_micro=2 * CREDIT * request.k,
            price_rule="t@1",
        )

    async def Balance(self, request, context):  # noqa: N802
        poor = request.account_id.startswith("acct_poor")
        return ledger_pb2.BalanceResponse(
            account_id=request.account_id, available_credits_micro=0 if poor else 10**12
        )

    async def ListEntries(self, request, context):  # noqa: N802
        return ledger_pb2.ListEntriesResponse(entries=self._entries(request.account_id)[::-1])

    async def ListTaskEntries(self, request, context):  # noqa: N802
        entries = self._entries(request.account_id)
        mine = [entry for entry in entries if entry.task_id == request.task_id]
        return ledger_pb2.ListTaskEntriesResponse(entries=mine)

    async def FindEntry(self, request, context):  # noqa: N802
        found = [
            entry
            for entry in self._entries(request.account_id)
            if entry.entry_id == request.entry_id or (request.grant_id and entry.grant_id == request.grant_id)
        ]
        return ledger_pb2.FindEntryResponse(entry=found[0] if found else None)

    def _entries(self, account_id: str) -> list[ledger_pb2.Entry]:
        return [
            ledger_pb2.Entry(
                entry_id=entry.entry_id,
                kind=entry.kind.value,
                occurred_at=at.isoformat(),
                amount_credits_micro=entry.amount_credits_micro,
                task_id=entry.task_id or "",
                grant_id=entry.grant_id or "",
            )
            for entry, at in self.booked
            if entry.account_id == account_id
        ]


class Router(router_pb2_grpc.RouterServiceServicer):
    async def Quote(self, request, context):  # noqa: N802
        return router_pb2.QuoteResponse(
            expected_cost_usd_micro=15_000, cheapest_cost_usd_micro=10_000, cost_cap_default_usd_micro=60_000
        )

    async def Offerings(self, request, context):  # noqa: N802
        return router_pb2.OfferingsResponse(offerings=[router_pb2.Offering(offering="a", provider="b")])


class Scorer(scorer_pb2_grpc.ScorerServiceServicer):
    async def Screen(self, request, context):  # noqa: N802
        return scorer_pb2.ScreenResponse(accepted=True, width=8, height=8, content_type="image/png")


class Delivery(delivery_pb2_grpc.DeliveryServiceServicer):
    async def RenewLinks(self, request, context):  # noqa: N802
        out = derive_id(Prefix.output, request.task_id)
        return delivery_pb2.RenewLinksResponse(
            links=[delivery_pb2.Link(output_id=out, url="http://x", expires_in_s=9)]
        )

    async def RegisterEndpoint(self, request, context):  # noqa: N802
        metadata = (("winnow-code", "url_not_allowed"),)
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "A private address.", metadata)

    async def DeleteEndpoint(self, request, context):  # noqa: N802
        await context.abort(grpc.StatusCode.NOT_FOUND, "not_found: There is no such endpoint.")


class Neighbours:
    """Messages that the other services sent and received."""

    def __init__(self, bootstrap: str, ledger: Ledger) -> None:
        self._bootstrap = bootstrap
        self._ledger = ledger
        self.commands: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.events: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self.ignored: set[str] = set()
        self._counts: dict[tuple[str, str], int] = defaultdict(int)
        self._seen: set[str] = set()
        self._producer = AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all")

    async def say(self, producer: str, event: Event) -> None:
        """Publish an event of another service."""
        to = route(event)
        assert to is not None
        topic, key = to
        self._counts[producer, key] += 1
        sequence = 0 if producer == "scorer" else self._counts[producer, key]
        envelope = Envelope(
            event_id=derive_id(Prefix.event, producer, key, event.type, self._counts[producer, key]),
            occurred_at=datetime.now(UTC),
            producer=producer,
            subject=key,
            sequence=sequence,
            correlation_id="it",
            causation_id="it",
        )
        if isinstance(event, EntryRecorded):
            self._ledger.booked.append((event, envelope.occurred_at))
        headers = [("content-type", CONTENT_TYPE.encode()), ("type", event.type.encode())]
        await self._producer.send_and_wait(
            topic,
            RecordedMessage(envelope, event).encode(),
            key=key.encode(),
            partition=shard_of(key, SHARDS),
            headers=headers,
        )

    async def deliver(self, task_id: str, account_id: str) -> None:
        """Play the rest of a funded task."""
        for producer, event in Tale(task_id, account_id).whole()[1:]:
            await self.say(producer, event)

    async def run(self) -> None:
        """Read everything and answer commands, each once, as the ledger would."""
        consumer = AIOKafkaConsumer(
            LEDGER_COMMAND_TOPIC.name,
            TASKS.name,
            bootstrap_servers=self._bootstrap,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=5,
        )
        await consumer.start()
        await self._producer.start()
        try:
            async for record in consumer:
                document = json.loads(record.value)
                if record.topic == TASKS.name:
                    self.events[document["task_id"]].append(document)
                else:
                    self.commands[document["type"]].append(document)
                    if document["command_id"] not in self._seen and document["type"] not in self.ignored:
                        self._seen.add(document["command_id"])
                        await self._answer(document)
        finally:
            await consumer.stop()
            await self._producer.stop()

    async def _answer(self, command: dict[str, Any]) -> None:
        match command["type"]:
            case "ReserveCredits":
                reserved = command["amount_credits_micro"]
                funded = TaskFunded(
                    **_ids(command), reservation_id=command["reservation_id"], reserved_credits_micro=reserved
                )
                await self.say("ledger", funded)
            case "GrantCredits":
                await self.say("ledger", _entry(command))
            case "ReleaseCredits":
                await self.say("ledger", _released(command))

    def types_of(self, task_id: str) -> list[str]:
        """Return the types of a task's events, each event once."""
        return list({event["event_id"]: event["type"] for event in self.events[task_id]}.values())


def _entry(command: dict[str, Any]) -> EntryRecorded:
    amount = command["amount_credits_micro"]
    return EntryRecorded(
        entry_id=derive_id(Prefix.entry, command["grant_id"]),
        account_id=command["account_id"],
        kind=EntryKind.grant,
        amount_credits_micro=amount,
        postings=[],
        grant_id=command["grant_id"],
        available_credits_micro=amount,
        held_credits_micro=0,
    )


def _ids(command: dict[str, Any]) -> TaskIds:
    return TaskIds(task_id=command["task_id"], account_id=command["account_id"])


def _released(command: dict[str, Any]) -> TaskSettled:
    return TaskSettled(
        **_ids(command),
        reservation_id=command["reservation_id"],
        reserved_credits_micro=4 * CREDIT,
        settled_credits_micro=0,
        released_credits_micro=4 * CREDIT,
        delivered_count=0,
        price_per_output_credits_micro=2 * CREDIT,
        cost=ProviderCost(),
        reason=command["reason"],
    )


@asynccontextmanager
async def neighbours(bootstrap: str, port: int) -> AsyncIterator[Neighbours]:
    """Run them all, the four gRPC services on one port."""
    server, ledger = grpc.aio.server(), Ledger()
    ledger_pb2_grpc.add_LedgerServiceServicer_to_server(ledger, server)
    router_pb2_grpc.add_RouterServiceServicer_to_server(Router(), server)
    scorer_pb2_grpc.add_ScorerServiceServicer_to_server(Scorer(), server)
    delivery_pb2_grpc.add_DeliveryServiceServicer_to_server(Delivery(), server)
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    others = Neighbours(bootstrap, ledger)
    running = asyncio.create_task(others.run())
    try:
        yield others
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await server.stop(None)

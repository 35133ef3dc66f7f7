"""Re-emission: restores the record of a bus that lost all it held.

Every message of every journal, in the order of their decisions.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaProducer, TopicPartition

from winnow.adapters.kafka_errors import kafka_answering
from winnow.adapters.leases import Purpose, StoreLease
from winnow.adapters.mongo import Mongo, answering
from winnow.adapters.topics import check_topics
from winnow.audit.chains import chain_of
from winnow.audit.lanes import part_of, shard_in
from winnow.audit.rebuild import held
from winnow.audit.records import TopicReader, connected_consumer
from winnow.audit.sources import JournalSource
from winnow.contracts.ids import shard_of
from winnow.contracts.journals import JOURNALS
from winnow.contracts.topics import TOPICS
from winnow.contracts.upcast import headers_of
from winnow.eventstore import Block, MongoJournalStore
from winnow.eventstore.model import Entry
from winnow.runtime.clock import SystemClock, random_bytes

_HOLDER_BYTES: Final = 6
_AT_ONCE: Final = 1_000
"""Messages that wait for the broker's word before more are handed over."""
_NAMES: Final = [topic.name for topic in TOPICS]


class ReemissionRefused(Exception):  # noqa: N818 (what became of it)
    """Nothing was changed; the text says why."""


@dataclass(frozen=True, slots=True)
class _Lane:
    """One shard of one journal, and the store that it lies in."""

    name: str
    journals: JournalSource
    store: MongoJournalStore


async def reemit(bootstrap: str, mongo_uri: str, *, force: bool = False) -> int:
    """Send every message of every journal to the topics again, and return how many.

    What is sent is the same to the byte, so that a reader that has decided a message takes it for a repeat.
    The journals first forget the offsets of the lost bus: a run that stops half-way is done again with
    ``force``. Raises ReemissionRefused when a topic holds records and ``force`` is not given. Raises
    Unavailable while a service runs, a topic is absent, or a server does not answer.
    """
    async with AsyncExitStack() as open_things:
        async with answering():
            leases, lanes = await _held_lanes(mongo_uri, open_things)
            shards = await _shards(mongo_uri)
        await check_topics(bootstrap, _NAMES, shards=shards)
        if not force:
            await _require_empty(bootstrap)
        async with answering():
            for store in {id(source.store): source.store for source in lanes}.values():
                await store.forget_bus()
            count, last = await _send_all(bootstrap, shards, lanes)
            for lease in leases:
                await lease.renew()
            for lane, block_no in zip(lanes, last, strict=True):
                await lane.store.save([], {}, {shard_in(lane.name): block_no})
        return count


async def _held_lanes(
    mongo_uri: str, open_things: AsyncExitStack
) -> tuple[Sequence[StoreLease], Sequence[_Lane]]:
    """Hold the stores of every service, and return the shards of their journals."""
    leases: list[StoreLease] = []
    holder = f"reemit-{random_bytes(_HOLDER_BYTES).hex()}"
    databases: dict[str, Any] = {}
    for name in dict.fromkeys(place.database for place in JOURNALS.values()):
        mongo = Mongo(mongo_uri, name)
        open_things.callback(mongo.close)
        databases[name] = mongo.database
        lease = StoreLease(mongo.database, SystemClock(), holder, Purpose.rebuilding)
        await open_things.enter_async_context(held(lease))
        leases.append(lease)
    journals = await open_things.enter_async_context(JournalSource.at(mongo_uri))
    stores = {
        producer: MongoJournalStore(databases[place.database], prefix=place.prefix)
        for producer, place in JOURNALS.items()
    }
    lanes = [_Lane(name, journals, stores[part_of(name)]) async for name in journals.lanes()]
    return leases, lanes


async def _shards(mongo_uri: str) -> int:
    """Return the number of shards that the deployment was created with."""
    with closing(Mongo(mongo_uri, JOURNALS["ledger"].database)) as mongo:
        shards = await mongo.fixed_shards()
    if shards is None:
        raise ReemissionRefused("no service has ever run on this database")
    return shards


async def _require_empty(bootstrap: str) -> None:
    async with connected_consumer(bootstrap) as consumer:
        topics = TopicReader(consumer, _NAMES)
        await topics.begin()
        lanes = [TopicPartition(*place) for place in topics.next_offsets]
        ends = await consumer.end_offsets(lanes)
        full = sorted({lane.topic for lane in lanes if ends[lane] > topics.next_offsets[lane]})
    if full:
        raise ReemissionRefused(f"the bus is not empty ({', '.join(full)}); --force sends all the same")


async def merged(lanes: Sequence[AsyncIterator[Block]]) -> AsyncIterator[tuple[int, Block]]:
    """Yield the blocks of lanes with the number of their lane, oldest first; those of one lane stay in their order.

    What a block was decided on stands before it, as far as the clocks of the services agree.
    """
    heads: list[tuple[Any, int, Block]] = []
    for number, lane in enumerate(lanes):
        async for block in lane:
            heads.append((block.at, number, block))
            break
    heapq.heapify(heads)
    while heads:
        _, number, block = heads[0]
        yield number, block
        following = await anext(lanes[number], None)
        if following is None:
            heapq.heappop(heads)
        else:
            heapq.heapreplace(heads, (following.at, number, following))


async def _send_all(bootstrap: str, shards: int, lanes: Sequence[_Lane]) -> tuple[int, list[int]]:
    """Send everything; return the number of messages, and the newest block of each lane."""
    # The idempotent producer is refused by some brokers; a message that is written twice is decided once.
    producer: Any = AIOKafkaProducer(
        bootstrap_servers=bootstrap, client_id="winnow-cli", acks="all", linger_ms=5
    )
    count, last = 0, [0] * len(lanes)
    try:
        with kafka_answering("Kafka did not confirm a message ({error})"):
            await producer.start()
            waiting: list[Any] = []
            async for number, block in merged([_blocks(lane) for lane in lanes]):
                last[number] = block.block_no
                for entry in (
                    sent for decision in block.decisions for sent in decision.entries if sent.topic
                ):
                    waiting.append(await _send(producer, entry, shards))
                    count += 1
                if len(waiting) >= _AT_ONCE:
                    await asyncio.gather(*waiting)
                    waiting.clear()
            await asyncio.gather(*waiting)
    finally:
        await producer.stop()
    return count, last


async def _blocks(lane: _Lane) -> AsyncIterator[Block]:
    async for document in lane.journals.lane_items(chain_of(lane.name)):
        yield Block.from_document(document)


async def _send(producer: Any, entry: Entry, shards: int) -> Any:
    headers = headers_of(entry.type, entry.body)
    return await producer.send(
        entry.topic,
        entry.body.encode(),
        key=entry.key.encode(),
        partition=shard_of(entry.key, shards),
        headers=[(name, value.encode()) for name, value in headers.items()],
    )

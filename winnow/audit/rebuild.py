"""Makes the stores of a service again from its journal: beside the live ones first, in their place when all is sound."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from winnow.audit.aside import Aside
from winnow.audit.chains import Head
from winnow.audit.journal_reader import JournalReader
from winnow.audit.lanes import journal_lane, topic_lane
from winnow.audit.replay import BrokenChain, ShardFold
from winnow.contracts.errors import WinnowError
from winnow.runtime.clock import SystemClock, random_bytes
from winnow.runtime.journal import MongoJournalStore
from winnow.runtime.journal.model import Machine, S
from winnow.runtime.leases import Purpose, StoreLease
from winnow.runtime.mongo import Mongo, answering
from winnow.runtime.settings import ServiceSettings, SettingsError

STATES: Final = ("state", "folds")
"""The collections that a journal's states are kept in."""
_STATES_AT_ONCE: Final = 500
_HOLDER_BYTES: Final = 6


class RebuildRefused(Exception):  # noqa: N818 (what became of it)
    """Nothing was changed; the text says why."""


class Workshop:
    """Where a service's stores are made again."""

    def __init__(self, settings: ServiceSettings, name: str, database: Aside) -> None:
        """Read the journals of the live database ``name``, write to ``database``."""
        self.settings = settings
        self.database: Any = database
        """For the stores: what is made again lies aside, the rest is live."""
        self._name = name
        self._heads: dict[tuple[str, str], Head] = {}

    def journal(self, prefix: str = "") -> JournalReader:
        """Read one of the service's journals."""
        return JournalReader(self.settings.mongo_uri.get_secret_value(), self._name, prefix)

    async def folded(
        self, machine: Machine[S], *, prefix: str = "", everywhere: bool = False
    ) -> AsyncIterator[list[S]]:
        """Fold a journal into its states and keep them; gives those of a shard at a time. Raises BrokenChain."""
        store = MongoJournalStore(self.database, causes_unique_everywhere=everywhere, prefix=prefix)
        await store.prepare()
        async with self.journal(prefix) as journal:
            for shard in await journal.shards():
                fold = ShardFold(machine, journal_lane(machine.producer, shard))
                async for document in journal.documents(shard):
                    fold.take(document)
                kept = fold.folded()
                for start in range(0, len(kept), _STATES_AT_ONCE):
                    await store.save(kept[start : start + _STATES_AT_ONCE], {}, {})
                await store.save([], {shard: fold.chain.last}, {shard: await journal.sent_to(shard)})
                self._heads[prefix, shard] = fold.chain.head
                yield fold.states()

    async def check(self, live: Any) -> None:
        """Raise RebuildRefused when what was folded is not all there was: ``live`` is the database as it stands.

        A chain does not show that its last blocks are gone; how far the live states were folded does.
        """
        if not self._heads:
            raise RebuildRefused("its journal is empty, so there is nothing to make the stores from")
        for prefix in {prefix for prefix, _ in self._heads}:
            async with self.journal(prefix) as journal:
                for shard in await journal.shards():
                    async for _ in journal.documents(shard, self._last(prefix, shard)):
                        raise RebuildRefused(f"somebody wrote to {prefix}journal meanwhile")
            async for row in live[f"{prefix}folds"].find():
                last, folded_to = self._last(prefix, row["_id"]), row.get("block_no", 0)
                if folded_to > last:
                    msg = f"{prefix}journal ends at block {last} of shard {row['_id']}, and the live states were"
                    raise RebuildRefused(f"{msg} folded to block {folded_to}: blocks of the journal are lost")

    def _last(self, prefix: str, shard: str) -> int:
        head = self._heads.get((prefix, shard))
        return head.last if head else 0


@asynccontextmanager
async def workshop(
    service: str, settings: ServiceSettings, collections: Sequence[str], *, force: bool
) -> AsyncIterator[Workshop]:
    """Hold a service's stores, and put what was made of these collections in their place at the end.

    Raises RebuildRefused when there is something in them and ``force`` is not given, and Unavailable while the
    service runs. Whatever is raised, the live collections are as they were.
    """
    name = settings.mongo_database or f"winnow_{service}"
    mongo = Mongo(settings.mongo_uri.get_secret_value(), name)
    holder = f"rebuild-{random_bytes(_HOLDER_BYTES).hex()}"
    lease = StoreLease(mongo.database, SystemClock(), holder, Purpose.rebuilding)
    aside = Aside(mongo.database, collections)
    try:
        with answering():
            async with _held(lease):
                full = await aside.full()
                if full and not force:
                    msg = f"{name} is not empty ({', '.join(full)}); --force replaces what is there"
                    raise RebuildRefused(msg)
                try:
                    await aside.begin()
                    shop = Workshop(settings, name, aside)
                    yield shop
                    await shop.check(mongo.database)
                    await lease.renew()
                    await aside.replace()
                finally:
                    await aside.drop()
    finally:
        mongo.close()


@asynccontextmanager
async def _held(lease: StoreLease) -> AsyncIterator[None]:
    """Hold the stores for the block; whether they still are is for the block to ask."""
    await lease.take()
    renewing = asyncio.create_task(lease.run(), name="lease")
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)
        await lease.release()


def check_whole(firsts: Mapping[tuple[str, int], int]) -> None:
    """Raise RebuildRefused when a topic does not begin with its first record: what was deleted cannot be folded."""
    for (topic, partition), offset in firsts.items():
        if offset > 0:
            msg = f"{topic_lane(topic, partition)}: the broker has deleted the records before offset {offset}"
            raise RebuildRefused(msg)


def run(
    service: str,
    load: Callable[[], ServiceSettings],
    rebuild: Callable[[Any, bool], Awaitable[dict[str, int]]],
) -> None:
    """Rebuild from the command line; says what was made, and leaves with 1 and a sentence when nothing was."""
    parser = argparse.ArgumentParser(description=f"Make the stores of {service} again from its record.")
    parser.add_argument("--force", action="store_true", help="replace what is there")
    given = parser.parse_args()
    try:
        made = asyncio.run(_awaited(rebuild(load(), given.force)))
    except (SettingsError, RebuildRefused, BrokenChain) as error:
        sys.exit(f"winnow rebuild {service}: {error}")
    except WinnowError as error:
        sys.exit(f"winnow rebuild {service}: {error.detail}")
    sys.stdout.write(", ".join(f"{count} {name}" for name, count in made.items()) + "\n")


async def _awaited(made: Awaitable[dict[str, int]]) -> dict[str, int]:
    return await made

"""Makes the stores of a service again from its journal: only while nobody holds its shards, and never over data unasked."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from winnow.audit.lanes import journal_lane
from winnow.audit.replay import BrokenChain, ShardFold
from winnow.contracts.errors import Unavailable, WinnowError
from winnow.contracts.topics import group_of
from winnow.runtime.journal import MongoJournalStore
from winnow.runtime.journal.model import Machine, S
from winnow.runtime.journal.reading import JournalReader
from winnow.runtime.mongo import Mongo
from winnow.runtime.settings import ServiceSettings, SettingsError

STATES: Final = ("state", "folds")
"""The collections that a journal's states are kept in."""
_STATES_AT_ONCE: Final = 500


class RebuildRefused(Exception):  # noqa: N818 (what became of it)
    """Nothing was changed; the text says why."""


@dataclass(frozen=True, slots=True)
class Workshop:
    """A service's database while it is rebuilt."""

    settings: ServiceSettings
    mongo: Mongo
    name: str

    @property
    def database(self) -> Any:
        """Give the database."""
        return self.mongo.database

    def reader(self, prefix: str = "") -> JournalReader:
        """Read one of the service's journals."""
        return JournalReader(self.settings.mongo_uri.get_secret_value(), self.name, prefix)

    async def states(self, machine: Machine[S], *, prefix: str = "", everywhere: bool = False) -> list[Any]:
        """Fold a journal into its states and keep them; gives all of them. Raises BrokenChain."""
        store = MongoJournalStore(self.database, causes_unique_everywhere=everywhere, prefix=prefix)
        await store.prepare()
        found: list[Any] = []
        async with self.reader(prefix) as journal:
            for shard in await journal.shards():
                fold = ShardFold(machine, journal_lane(machine.producer, shard))
                async for document in journal.documents(shard):
                    fold.take(document)
                kept = fold.folded()
                for start in range(0, len(kept), _STATES_AT_ONCE):
                    await store.save(shard, kept[start : start + _STATES_AT_ONCE], 0)
                await store.save(shard, [], fold.chain.last)
                found += fold.states()
        return found


@asynccontextmanager
async def workshop(
    service: str, settings: ServiceSettings, collections: Sequence[str], *, force: bool
) -> AsyncIterator[Workshop]:
    """Open a service's database with these collections empty.

    Raises RebuildRefused while the service runs, or when there is something in them and ``force`` is not given.
    """
    await _check_not_held(service, settings.kafka_bootstrap)
    name = settings.mongo_database or f"winnow_{service}"
    mongo = Mongo(settings.mongo_uri.get_secret_value(), name)
    try:
        full = await mongo.not_empty(collections)
        if full and not force:
            raise RebuildRefused(f"{name} is not empty ({', '.join(full)}); --force replaces what is there")
        await mongo.clear(collections)
        yield Workshop(settings, mongo, name)
    finally:
        mongo.close()


async def _check_not_held(service: str, bootstrap: str) -> None:
    """Ask the broker who reads for the service: whoever does holds its shards."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, client_id="winnow-rebuild")
    try:
        await admin.start()
        answers = await admin.describe_consumer_groups([group_of(service)])
    except KafkaError as error:
        raise Unavailable("Kafka does not answer, so nobody knows whether the service runs") from error
    finally:
        await admin.close()
    members = [member for answer in answers for group in answer.groups for member in group[5]]
    if members:
        raise RebuildRefused(f"{service} runs: {len(members)} processes hold its shards; stop them first")


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

"""Makes the stores of a service again from its record: beside the live stores, then in their place."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from winnow.adapters.leases import Purpose, StoreLease
from winnow.adapters.mongo import Mongo, answering
from winnow.audit.blob_store import BadAddress, Location
from winnow.audit.manifests import BrokenArchive
from winnow.audit.rebuild_session import RebuildRefused, RebuildSession
from winnow.audit.replay import BrokenChain
from winnow.audit.staging_database import StagingDatabase
from winnow.contracts.errors import WinnowError
from winnow.contracts.journals import database_of
from winnow.runtime.clock import SystemClock, random_bytes
from winnow.runtime.settings import ServiceSettings, SettingsError

if TYPE_CHECKING:
    from winnow.audit.archive_source import ArchiveSource

STATES: Final = ("state", "folds")
"""The collections that a journal's states are kept in."""
_HOLDER_BYTES: Final = 6


@dataclass(frozen=True, slots=True)
class RebuildOptions:
    """Options of a rebuild: ``force`` replaces what is there, ``archive`` says where one is to be read from first."""

    force: bool = False
    archive: str = ""


@asynccontextmanager
async def open_session(
    service: str,
    settings: ServiceSettings,
    collections: Sequence[str],
    options: RebuildOptions,
    *,
    journals: Sequence[str] = ("",),
    retired: Sequence[str] = (),
) -> AsyncIterator[RebuildSession]:
    """Hold a service's stores, and put what was made of these collections in their place at the end.

    From an archive the journals are made again too, ``journals`` being their prefixes. Collections that only
    older builds wrote, ``retired``, are dropped. Raises RebuildRefused
    when there is something in the collections and ``force`` is not given. Raises Unavailable while the
    service runs, BadAddress, and the errors of a faulty archive. After every error the live collections are
    as they were.
    """
    location = _location_of(settings, options.archive)
    name = settings.mongo_database or database_of(service)
    mongo = Mongo(settings.mongo_uri.get_secret_value(), name)
    holder = f"rebuild-{random_bytes(_HOLDER_BYTES).hex()}"
    lease = StoreLease(mongo.database, SystemClock(), holder, Purpose.rebuilding)
    names = (*collections, *(f"{prefix}journal" for prefix in journals if options.archive))
    staging = StagingDatabase(mongo.database, names, retired)
    try:
        async with answering(), held(lease), _archived(location) as archived:
            full = await staging.full()
            if full and not options.force:
                raise RebuildRefused(await _not_empty(name, full, staging))
            try:
                await staging.begin()
                session = RebuildSession(settings, name, staging, archived)
                yield session
                await session.check(mongo.database)
                await lease.renew()
                await staging.replace()
            finally:
                await staging.drop()
    finally:
        mongo.close()


async def _not_empty(name: str, full: Sequence[str], staging: StagingDatabase) -> str:
    if await staging.is_left_over():
        return f"a rebuilding of {name} was interrupted; the same command with --force does it again"
    return f"{name} is not empty ({', '.join(full)}); --force replaces what is there"


@asynccontextmanager
async def held(lease: StoreLease) -> AsyncIterator[None]:
    """Hold the stores for the block; whether they still are is for the block to ask."""
    await lease.take()
    renewing = asyncio.create_task(lease.run(), name="lease")
    try:
        yield
    finally:
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)
        await lease.release()


@asynccontextmanager
async def _archived(location: Location | None) -> AsyncIterator[ArchiveSource | None]:
    async with AsyncExitStack() as open_things:
        if location is None:
            yield None
            return
        # The services have no decompressor; what needs none of it goes without.
        from winnow.audit.archive_source import ArchiveSource

        yield await open_things.enter_async_context(ArchiveSource.at(location))


def _location_of(settings: ServiceSettings, address: str) -> Location | None:
    if not address:
        return None
    location = Location(
        address,
        settings.s3_endpoint,
        settings.s3_region,
        settings.s3_access_key.get_secret_value(),
        settings.s3_secret_key.get_secret_value(),
    )
    location.check()
    return location


def run(
    service: str,
    load: Callable[[], ServiceSettings],
    rebuild: Callable[[Any, RebuildOptions], Awaitable[dict[str, int]]],
) -> None:
    """Rebuild from the command line; says what was made, and leaves with 1 and a sentence when nothing was."""
    parser = argparse.ArgumentParser(description=f"Make the stores of {service} again from its record.")
    parser.add_argument("--force", action="store_true", help="replace what is there")
    parser.add_argument(
        "--archive", default="", help="read this archive first: s3://bucket/prefix, or a folder"
    )
    options = parser.parse_args()
    try:
        made = asyncio.run(_awaited(rebuild(load(), RebuildOptions(options.force, options.archive))))
    except (SettingsError, RebuildRefused, BrokenChain, BrokenArchive, BadAddress, OSError) as error:
        sys.exit(f"winnow rebuild {service}: {error}")
    except WinnowError as error:
        sys.exit(f"winnow rebuild {service}: {error.detail}")
    sys.stdout.write(", ".join(f"{count} {name}" for name, count in made.items()) + "\n")


async def _awaited(made: Awaitable[dict[str, int]]) -> dict[str, int]:
    return await made

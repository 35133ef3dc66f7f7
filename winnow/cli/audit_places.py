"""Places that an audit reads: given, or kept by `winnow up`; and the errors of a place it could not read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from winnow.audit.archiving import NotArchived
from winnow.audit.blob_store import Location
from winnow.audit.manifests import BrokenArchive
from winnow.cli.errors import CliError, as_sentence
from winnow.cli.line_access import LineAccess, address
from winnow.contracts.errors import NotFound, WinnowError

NOT_CHECKED: Final = 2
"""The exit status of an audit that could not look."""


@dataclass(frozen=True, slots=True)
class Where:
    """The addresses that were given; an empty one is looked up in the data directory."""

    bootstrap: str
    mongo_uri: str = field(repr=False)
    s3_endpoint: str
    s3_access_key: str = field(repr=False)
    s3_secret_key: str = field(repr=False)
    data_dir: Path

    def kafka(self) -> str:
        """Return Kafka's address; raises CliError when there is none."""
        access = LineAccess.read(self.data_dir).kafka_bootstrap
        return address(self.bootstrap, access, "Kafka", "WINNOW_KAFKA_BOOTSTRAP", self.data_dir)

    def database(self) -> str:
        """Return the database's address; raises CliError when there is none."""
        access = LineAccess.read(self.data_dir).mongo_uri
        return address(self.mongo_uri, access, "the database", "WINNOW_MONGO_URI", self.data_dir)

    def location(self, store: str) -> Location:
        """Return the location of an archive or an anchor; raises CliError when its store has no address."""
        if not store.startswith("s3://"):
            return Location(store)
        access = LineAccess.read(self.data_dir)
        endpoint = address(
            self.s3_endpoint, access.s3_endpoint, "the object store", "WINNOW_S3_ENDPOINT", self.data_dir
        )
        own_access = access if endpoint == access.s3_endpoint else LineAccess()
        return Location(
            store,
            endpoint,
            s3_access_key=self.s3_access_key or own_access.s3_access_key,
            s3_secret_key=self.s3_secret_key or own_access.s3_secret_key,
        )

    async def read(self, target: str) -> bytes:
        """Read one file or object."""
        folder, name = _split(target)
        async with self.location(folder).open() as store:
            return await store.get(name)

    async def write(self, target: str, body: bytes) -> None:
        """Write one file or object; raises CliError when it is there."""
        folder, name = _split(target)
        async with self.location(folder).open() as store:
            try:
                await store.get(name)
            except NotFound:
                await store.put(name, body)
                return
        raise CliError(f"{target} is there already.")


@contextmanager
def looking() -> Iterator[None]:
    """Raise each error that keeps an audit from looking as CliError, with the exit status that says so."""
    try:
        yield
    except CliError as trouble:
        raise CliError(str(trouble), exit_status=NOT_CHECKED) from trouble
    except (NotArchived, BrokenArchive) as error:
        raise CliError(as_sentence(f"nothing was archived: {error}")) from error
    except WinnowError as error:
        raise CliError(as_sentence(error.detail), exit_status=NOT_CHECKED) from error
    except (OSError, ValueError) as error:
        raise CliError(as_sentence(str(error)), exit_status=NOT_CHECKED) from error


def _split(target: str) -> tuple[str, str]:
    folder, _, name = target.rpartition("/")
    return (folder or ("/" if target.startswith("/") else ".")), name

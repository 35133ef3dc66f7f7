"""Places that an audit reads: given, or kept by `winnow up`; and the errors of a place it could not read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from winnow.audit.archiving import NotArchived
from winnow.audit.manifests import BrokenArchive
from winnow.audit.shelves import Place as Shelved
from winnow.cli.errors import CliError, as_sentence
from winnow.cli.place import Place, address
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
        kept = Place.read(self.data_dir).kafka_bootstrap
        return address(self.bootstrap, kept, "Kafka", "WINNOW_KAFKA_BOOTSTRAP", self.data_dir)

    def database(self) -> str:
        """Return the database's address; raises CliError when there is none."""
        kept = Place.read(self.data_dir).mongo_uri
        return address(self.mongo_uri, kept, "the database", "WINNOW_MONGO_URI", self.data_dir)

    def place(self, shelf: str) -> Shelved:
        """Return the place of an archive or an anchor; raises CliError when its store has no address."""
        if not shelf.startswith("s3://"):
            return Shelved(shelf)
        kept = Place.read(self.data_dir)
        endpoint = address(
            self.s3_endpoint, kept.s3_endpoint, "the object store", "WINNOW_S3_ENDPOINT", self.data_dir
        )
        mine = kept if endpoint == kept.s3_endpoint else Place()
        return Shelved(
            shelf,
            endpoint,
            s3_access_key=self.s3_access_key or mine.s3_access_key,
            s3_secret_key=self.s3_secret_key or mine.s3_secret_key,
        )

    async def read(self, target: str) -> bytes:
        """Read one file or object."""
        folder, name = _split(target)
        async with self.place(folder).open() as shelf:
            return await shelf.get(name)

    async def write(self, target: str, body: bytes) -> None:
        """Write one file or object; raises CliError when it is there."""
        folder, name = _split(target)
        async with self.place(folder).open() as shelf:
            try:
                await shelf.get(name)
            except NotFound:
                await shelf.put(name, body)
                return
        raise CliError(f"{target} is there already.")


@contextmanager
def looking() -> Iterator[None]:
    """Yield the status of an audit that could not look to whatever keeps it from looking."""
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

"""Places of archives and anchors: a folder, or a prefix in a bucket; both as names and bytes."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from winnow.adapters.object_store import ObjectStore
from winnow.contracts.errors import NotFound

OBJECT_BYTES_MAX: Final = 512 * 1024 * 1024
"""No segment and no manifest comes near this."""
_TYPE: Final = "application/octet-stream"
_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
"""Names that every object store takes, as S3 states them."""


class BadAddress(ValueError):  # noqa: N818 (what it is)
    """An address that names no blob store; the text says what is wrong with it."""


class BlobStore(Protocol):
    """Holds bytes by name. Raises NotFound for a name that is not there, Unavailable when it does not answer."""

    async def put(self, name: str, body: bytes) -> None:
        """Keep bytes whole or not at all; what was there under the name is replaced."""
        ...

    async def get(self, name: str) -> bytes:
        """Return the bytes."""
        ...

    async def names(self, prefix: str) -> list[str]:
        """Return the names that begin with a prefix, in order."""
        ...


class LocalBlobs:
    """A blob store in a folder of this machine."""

    def __init__(self, root: Path) -> None:
        """Use a folder, which is made when something is put."""
        self._root = root

    async def put(self, name: str, body: bytes) -> None:
        """Write a file beside its place and move it there."""

        def write() -> None:
            path = self._root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f".{path.name}.partial")
            with partial.open("wb") as file:
                file.write(body)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)

        await asyncio.to_thread(write)

    async def get(self, name: str) -> bytes:
        """Read a file."""
        try:
            return await asyncio.to_thread((self._root / name).read_bytes)
        except FileNotFoundError:
            raise NotFound(f"there is no {name} in {self._root}") from None

    async def names(self, prefix: str) -> list[str]:
        """Return the files below."""

        def found() -> list[str]:
            paths = (
                path for path in self._root.rglob("*") if path.is_file() and not path.name.startswith(".")
            )
            return sorted(
                name for path in paths if (name := path.relative_to(self._root).as_posix()).startswith(prefix)
            )

        return await asyncio.to_thread(found)


class S3Blobs:
    """A blob store below a prefix of a bucket."""

    def __init__(self, objects: ObjectStore, bucket: str, prefix: str) -> None:
        """Use an object store."""
        self._objects = objects
        self._bucket = bucket
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    async def put(self, name: str, body: bytes) -> None:
        """Store an object."""
        await self._objects.put(self._bucket, self._prefix + name, body, _TYPE)

    async def get(self, name: str) -> bytes:
        """Read an object."""
        return await self._objects.get(self._bucket, self._prefix + name, OBJECT_BYTES_MAX)

    async def names(self, prefix: str) -> list[str]:
        """List objects, page by page."""
        found: list[str] = []
        after = ""
        while page := await self._objects.list(self._bucket, self._prefix + prefix, after):
            found += [str(stored["key"])[len(self._prefix) :] for stored in page]
            after = str(page[-1]["key"])
        return found


@dataclass(frozen=True, slots=True)
class Location:
    """A blob store by its address, which can be handed to another process: a folder, or ``s3://bucket/prefix``."""

    address: str
    s3_endpoint: str = ""
    s3_region: str = "us-east-1"
    s3_access_key: str = field(default="", repr=False)
    s3_secret_key: str = field(default="", repr=False)

    def check(self) -> None:
        """Raise BadAddress for an address that names no blob store; whether anything is there is not looked at."""
        scheme, is_url, rest = self.address.partition("://")
        path = Path(self.address)
        if not is_url:
            is_shelf = bool(self.address) and (path.is_dir() or not path.exists())
        else:
            is_shelf = scheme == "s3" and _BUCKET.fullmatch(rest.partition("/")[0]) is not None
        if not is_shelf:
            msg = f"the address {self.address!r} is neither s3://bucket/prefix nor a folder"
            raise BadAddress(msg)
        if is_url and not self.s3_endpoint:
            msg = f"the address {self.address!r} needs an object store, and none is given"
            raise BadAddress(msg)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[BlobStore]:
        """Open the blob store and close it with the block; raises BadAddress."""
        self.check()
        if not self.address.startswith("s3://"):
            yield LocalBlobs(Path(self.address))
            return
        bucket, _, prefix = self.address.removeprefix("s3://").partition("/")
        objects = ObjectStore(self.s3_endpoint, self.s3_region, self.s3_access_key, self.s3_secret_key)
        try:
            yield S3Blobs(objects, bucket, prefix)
        finally:
            await objects.close()

"""The private bucket."""

from __future__ import annotations

from winnow.adapters.object_store import ObjectStore
from winnow.contracts.errors import NotFound


class PrivateFiles:
    """Requests and inputs by key; nothing here is ever linked."""

    def __init__(self, objects: ObjectStore, bucket: str) -> None:
        """Use one bucket."""
        self._objects = objects
        self.bucket = bucket

    async def put(self, key: str, body: bytes, content_type: str) -> None:
        """Store an object."""
        await self._objects.put(self.bucket, key, body, content_type)

    async def get(self, key: str, size_bytes_max: int) -> bytes:
        """Read an object; raises NotFound, also for one beyond the limit."""
        try:
            return await self._objects.get(self.bucket, key, size_bytes_max)
        except ValueError:
            raise NotFound("The file is larger than is shown.") from None

    async def delete(self, key: str) -> None:
        """Delete an object."""
        await self._objects.delete(self.bucket, [key])

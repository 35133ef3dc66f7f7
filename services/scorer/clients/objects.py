"""Reads candidates and inputs from the object store."""

from __future__ import annotations

from winnow.adapters.object_store import ObjectStore
from winnow.contracts.errors import ErrorCode, Refused


class StoredPictures:
    """Reads at most ``bytes_max`` of an object."""

    def __init__(self, objects: ObjectStore, bytes_max: int) -> None:
        """Use the shared client."""
        self._objects = objects
        self._bytes_max = bytes_max

    async def get(self, bucket: str, key: str) -> bytes:
        """Return an object's bytes; raises NotFound, Refused (``image_too_large``) or Unavailable."""
        try:
            return await self._objects.get(bucket, key, self._bytes_max)
        except ValueError:
            raise Refused(ErrorCode.image_too_large, "the image has more bytes than allowed") from None

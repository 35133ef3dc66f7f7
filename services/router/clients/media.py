"""The private files of tasks: the request is read, candidates are checked and stored."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final, NamedTuple, Protocol

from PIL import Image, UnidentifiedImageError

from services.router.domain.calls import NotAnImage
from winnow.contracts.values import StoredObject

REQUEST_MAX_BYTES: Final = 1_048_576
PIXELS_MAX: Final = 50_000_000
"""Decoded at 3 bytes a pixel this is 150 MB: the most one candidate may take of memory."""
_REQUESTS_KEPT: Final = 512
_FORMATS: Final = {
    "JPEG": ("image/jpeg", "jpg"),
    "PNG": ("image/png", "png"),
    "WEBP": ("image/webp", "webp"),
}
_DECODERS_MAX: Final = 2


class ObjectAccess(Protocol):
    """The object store, as far as the router needs it."""

    async def get(self, bucket: str, key: str, max_bytes: int) -> bytes:
        """Read; raises NotFound, Unavailable, ValueError when too large."""
        ...

    async def put(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        """Store; raises Unavailable."""
        ...


class ImageFacts(NamedTuple):
    """Facts of a decoded image."""

    content_type: str
    extension: str
    width: int
    height: int
    sha256: str


class TaskMedia:
    """Reads requests and stores candidates in the private bucket."""

    def __init__(self, objects: ObjectAccess, bucket: str) -> None:
        """Use a bucket of an object store."""
        self._objects = objects
        self._bucket = bucket
        self._requests: OrderedDict[str, Mapping[str, object]] = OrderedDict()
        self._decoders = asyncio.Semaphore(_DECODERS_MAX)

    async def read_request(self, stored: StoredObject) -> Mapping[str, object]:
        """Read a task's request, kept in memory for its next attempts.

        Raises NotFound, Unavailable, or ValueError when it is not what was accepted.
        """
        known = self._requests.get(stored.key)
        if known is not None:
            self._requests.move_to_end(stored.key)
            return known
        body = await self._objects.get(stored.bucket, stored.key, REQUEST_MAX_BYTES)
        if hashlib.sha256(body).hexdigest() != stored.sha256:
            raise ValueError("the request is not the one that was accepted")
        document = json.loads(body)
        if not isinstance(document, dict):
            raise ValueError("the request is not an object")  # noqa: TRY004 (content, not a type of ours)
        self._requests[stored.key] = document
        if len(self._requests) > _REQUESTS_KEPT:
            self._requests.popitem(last=False)
        return document

    async def store_candidate(
        self, *, account_id: str, task_id: str, candidate_id: str, content: bytes
    ) -> StoredObject:
        """Store a candidate's bytes under a name that their content decides.

        Raises NotAnImage, Unavailable. Storing the same bytes again changes nothing.
        """
        async with self._decoders:
            image = await asyncio.to_thread(self._described, content)
        key = f"candidates/{account_id}/{task_id}/{candidate_id}-{image.sha256[:16]}.{image.extension}"
        await self._objects.put(self._bucket, key, content, image.content_type)
        return StoredObject(
            bucket=self._bucket,
            key=key,
            sha256=image.sha256,
            size_bytes=len(content),
            content_type=image.content_type,
            width=image.width,
            height=image.height,
        )

    @staticmethod
    def _described(content: bytes) -> ImageFacts:
        """Decode every pixel: a truncated file has a good header."""
        try:
            with Image.open(io.BytesIO(content), formats=list(_FORMATS)) as image:
                width, height = image.size
                if width * height > PIXELS_MAX:
                    raise NotAnImage("too_many_pixels")
                if getattr(image, "n_frames", 1) > 1:
                    raise NotAnImage("animated")
                content_type, extension = _FORMATS[image.format or ""]
                image.load()
        except (UnidentifiedImageError, OSError, SyntaxError, ValueError, KeyError) as error:
            if isinstance(error, NotAnImage):
                raise
            raise NotAnImage("not_decodable") from error
        except Image.DecompressionBombError as error:
            raise NotAnImage("too_many_pixels") from error
        return ImageFacts(content_type, extension, width, height, hashlib.sha256(content).hexdigest())

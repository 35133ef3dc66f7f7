"""The private files of tasks: the request is read, candidates are checked and stored."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final, NamedTuple, Protocol

from services.router.domain.calls import NotAnImage, StoredImage
from winnow.contracts.values import StoredObject
from winnow.pictures.reader import read_structure
from winnow.pictures.structure import BadStructure

REQUEST_MAX_BYTES: Final = 1_048_576
PIXELS_MAX: Final = 50_000_000
"""Decoded at 3 bytes a pixel this is 150 MB: the most one candidate may take of memory where it is decoded."""
_REQUESTS_KEPT: Final = 512
_EXTENSIONS: Final = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}


class ObjectAccess(Protocol):
    """The object store, as far as the router needs it."""

    async def get(self, bucket: str, key: str, max_bytes: int) -> bytes:
        """Read; raises NotFound, Unavailable, ValueError when too large."""
        ...

    async def put(self, bucket: str, key: str, body: bytes, content_type: str) -> None:
        """Store; raises Unavailable."""
        ...


class ImageFacts(NamedTuple):
    """Facts of an image, as its header tells them."""

    content_type: str
    extension: str
    width: int
    height: int
    sha256: str
    is_whole: bool = True


class TaskMedia:
    """Reads requests and stores candidates in the private bucket."""

    def __init__(self, objects: ObjectAccess, bucket: str) -> None:
        """Use a bucket of an object store."""
        self._objects = objects
        self._bucket = bucket
        self._requests: OrderedDict[str, Mapping[str, object]] = OrderedDict()

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
    ) -> StoredImage:
        """Store a candidate's bytes under a name that their content decides.

        Raises NotAnImage, Unavailable. Storing the same bytes again changes nothing.
        """
        image = await asyncio.to_thread(self._described, content)
        key = f"candidates/{account_id}/{task_id}/{candidate_id}-{image.sha256[:16]}.{image.extension}"
        await self._objects.put(self._bucket, key, content, image.content_type)
        stored = StoredObject(
            bucket=self._bucket,
            key=key,
            sha256=image.sha256,
            size_bytes=len(content),
            content_type=image.content_type,
            width=image.width,
            height=image.height,
        )
        return StoredImage(stored, image.is_whole)

    @staticmethod
    def _described(content: bytes) -> ImageFacts:
        """Check header, size and end. Pixels, and whether all of them are there, are left to the scorer."""
        try:
            found = read_structure(content)
        except BadStructure as error:
            raise NotAnImage(error.reason) from error
        if found.width * found.height > PIXELS_MAX:
            raise NotAnImage("too_many_pixels")
        return ImageFacts(
            found.content_type,
            _EXTENSIONS[found.content_type],
            found.width,
            found.height,
            hashlib.sha256(content).hexdigest(),
            found.is_whole,
        )

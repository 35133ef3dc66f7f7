"""Input images: read, stored, screened, and only then accepted."""

from __future__ import annotations

import hashlib
from typing import Final

from services.ingest.app.ports import Fetcher, Files, Inputs, Screener
from services.ingest.domain.answers import ScreenedInput, Screening, format_of
from winnow.contracts.errors import ErrorCode, Refused
from winnow.contracts.ids import Prefix, derive_id
from winnow.contracts.values import StoredObject
from winnow.runtime.clock import Clock

INPUT_BYTES_MAX: Final = 20 * 1024 * 1024


class InputScreening:
    """The use case of giving an input."""

    def __init__(
        self, *, files: Files, fetcher: Fetcher, screener: Screener, inputs: Inputs, clock: Clock
    ) -> None:
        """Wire the use case."""
        self._files = files
        self._fetcher = fetcher
        self._screener = screener
        self._inputs = inputs
        self._clock = clock

    async def from_url(self, account_id: str, url: str, profile: str) -> ScreenedInput:
        """Read an image from a URL and accept it; raises Refused."""
        return await self.from_bytes(account_id, await self._fetcher.fetch(url), profile)

    async def from_bytes(self, account_id: str, body: bytes, profile: str) -> ScreenedInput:
        """Accept an image of at most 20 MiB; the same bytes of one account are the same input.

        Raises Refused: ``image_not_decodable``, ``image_too_large``, ``image_too_small``.
        """
        media_type = format_of(body)
        if media_type is None:
            raise Refused(
                ErrorCode.image_not_decodable, "This is no image of a kind that is read: JPEG, PNG or WebP."
            )
        sha256 = hashlib.sha256(body).hexdigest()
        input_id = derive_id(Prefix.input, account_id, sha256)
        key = f"inputs/{account_id}/uploads/{input_id}"
        await self._files.put(key, body, media_type.value)
        screening = await self._screener.screen(self._files.bucket, key, profile)
        if not screening.accepted:
            await self._files.delete(key)
            raise _refusal(screening)
        screened = ScreenedInput(
            input_id=input_id,
            account_id=account_id,
            stored=StoredObject(
                bucket=self._files.bucket,
                key=key,
                sha256=sha256,
                size_bytes=len(body),
                content_type=screening.content_type or media_type.value,
                width=screening.width,
                height=screening.height,
            ),
            advice=screening.advice,
            hints=screening.hints,
            created_at=self._clock.now(),
        )
        await self._inputs.add(screened)
        return screened


def _refusal(screening: Screening) -> Refused:
    known = screening.code in ErrorCode.__members__
    code = ErrorCode(screening.code) if known else ErrorCode.image_not_decodable
    return Refused(code, screening.detail or "The image was refused.")

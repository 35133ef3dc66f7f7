"""Finds what a chunk's candidates are compared with, once a chunk and only as far as its profile asks."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from services.scorer.app.ports import Measurer, ObjectReader
from services.scorer.domain.measures import FACE_COUNT
from services.scorer.domain.references import (
    LIKE_REFERENCE,
    LIKE_REQUEST,
    MissingInput,
    References,
    Wording,
    is_colour,
)
from winnow.contracts.errors import NotFound, Refused
from winnow.contracts.values import MeasureStatus, StoredObject

REQUEST_BYTES_MAX: Final = 1_048_576
INPUTS_MAX: Final = 16
"""Inputs that are looked through for a portrait; twice what a template takes."""
_PORTRAIT: Final = frozenset({FACE_COUNT})


@dataclass(frozen=True, slots=True)
class ReferenceResult:
    """Reference inputs, and the reason of each dimension that has nothing to compare with."""

    references: References
    missing: Mapping[str, MissingInput] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RequestedWords:
    """Words of a request; never shown or logged."""

    prompt: str = field(default="", repr=False)
    wording: Wording = field(default=Wording(), repr=False)


_NO_WORDS: Final = RequestedWords()


class ReferenceReader:
    """Reads requests and inputs of tasks. What they hold stays in memory only, and is never logged."""

    def __init__(self, objects: ObjectReader, measurer: Measurer) -> None:
        """Take the ports."""
        self._objects = objects
        self._measurer = measurer

    async def find(
        self, request: StoredObject | None, inputs: Sequence[StoredObject], wanted: frozenset[str]
    ) -> ReferenceResult:
        """Return what the wanted dimensions compare with; raises Unavailable when the store does not answer."""
        reference, words = None, _NO_WORDS
        missing: dict[str, MissingInput] = {}
        if wanted & LIKE_REFERENCE and inputs:
            portrait = await self._portrait(inputs[:INPUTS_MAX])
            if isinstance(portrait, MissingInput):
                missing |= dict.fromkeys(LIKE_REFERENCE, portrait)
            else:
                reference = portrait
        if wanted & LIKE_REQUEST and request is not None:
            read = await self._asked(request)
            if isinstance(read, MissingInput):
                missing |= dict.fromkeys(wanted & LIKE_REQUEST, read)
            else:
                words = read
        return ReferenceResult(References(reference, words.prompt, words.wording), missing)

    async def _portrait(self, inputs: Sequence[StoredObject]) -> bytes | MissingInput:
        """Return the first input that shows a face.

        One that cannot be read might have been it: then nothing is said of likeness rather than of another picture.
        """
        for stored in inputs:
            content = await self._read(stored, "reference")
            if isinstance(content, MissingInput):
                return content
            faces = (await self._measurer.measure(content, _PORTRAIT)).by_name()[FACE_COUNT]
            if faces.raw is None:
                return _fault("reference_not_assessed")
            if faces.raw >= 1:
                return content
        return MissingInput(MeasureStatus.not_applicable, "no_face_in_inputs")

    async def _asked(self, request: StoredObject) -> RequestedWords | MissingInput:
        if request.size_bytes > REQUEST_BYTES_MAX:
            return _fault("request_too_large")
        body = await self._read(request, "request")
        if isinstance(body, MissingInput):
            return body
        try:
            return requested_words(body)
        except ValueError:
            return _fault("request_not_readable")

    async def _read(self, stored: StoredObject, noun: str) -> bytes | MissingInput:
        try:
            content = await self._objects.get(stored.bucket, stored.key)
        except NotFound:
            return _fault(f"{noun}_missing")
        except Refused:
            return _fault(f"{noun}_too_large")
        if hashlib.sha256(content).hexdigest() != stored.sha256:
            return _fault(f"{noun}_differs")
        return content


def requested_words(body: bytes) -> RequestedWords:
    """Read a stored request; raises ValueError when it holds no prompt. Wording that cannot be read is none."""
    request: object = None
    if len(body) <= REQUEST_BYTES_MAX:
        with contextlib.suppress(RecursionError):
            request = json.loads(body)
    prompt = request.get("prompt") if isinstance(request, dict) else None
    if not isinstance(request, dict) or not isinstance(prompt, str) or not prompt.strip():
        raise ValueError("this is no request with a prompt")
    copy, colours = request.get("copy_text"), request.get("brand_colours")
    return RequestedWords(
        prompt,
        Wording(
            copy if isinstance(copy, str) else "",
            tuple(colour for colour in colours if isinstance(colour, str) and is_colour(colour))
            if isinstance(colours, list)
            else (),
        ),
    )


def _fault(reason: str) -> MissingInput:
    return MissingInput(MeasureStatus.failure_to_assess, reason)

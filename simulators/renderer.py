"""Turns an order for one picture into encoded bytes and the recorded truth about them.

The same order gives the same bytes: every choice is drawn from a generator seeded by the order's key.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final, Literal

import cv2
import numpy as np

from simulators.defects import CARDS, Defect, apply_defect, compose
from simulators.photos.advert import AdWording, Fault, lettered
from simulators.photos.assets import Picture
from simulators.photos.studio import Studio, Subject

OutputFormat = Literal["jpeg", "png", "webp"]

#: Bounds on what may be asked for, in px per side: below nothing is left of a face, above memory is.
SIDE_MIN_PX: Final = 64
SIDE_MAX_PX: Final = 2048
_QUALITY: Final = 93
_ENCODERS: Final[dict[OutputFormat, tuple[str, list[int]]]] = {
    "jpeg": (".jpg", [cv2.IMWRITE_JPEG_QUALITY, _QUALITY]),
    "png": (".png", [cv2.IMWRITE_PNG_COMPRESSION, 1]),
    "webp": (".webp", [cv2.IMWRITE_WEBP_QUALITY, _QUALITY]),
}


_PRODUCT_WORDS: Final = (
    "product",
    "packshot",
    "mug",
    "cup",
    "bottle",
    "shoe",
    "watch",
    "catalog",
    "catalogue",
    "object",
)
_AD_WORDS: Final = ("ad creative", "advertisement", "advert ", "banner", "billboard")


@dataclass(frozen=True, slots=True)
class RenderRequest:
    """One picture to be made.

    ``key`` seeds the picture. ``repeats`` is the key of the picture a near-duplicate repeats.
    ``size`` is (width, height) in px. ``wording`` is what an advertisement is to say, and in which colours.
    """

    key: tuple[int, ...]
    subject: Subject
    size: tuple[int, int]
    output_format: OutputFormat
    defect: Defect | None = None
    repeats: tuple[int, ...] | None = None
    wording: AdWording = field(default_factory=AdWording)


@dataclass(frozen=True, slots=True)
class RenderedPicture:
    """An encoded picture with its truth."""

    content: bytes
    sha256: str
    content_type: str
    width: int
    height: int
    subject: Subject
    defect: Defect | None

    @property
    def dimensions(self) -> tuple[str, ...]:
        """Name the dimensions of which at least one must fail; empty for a good picture."""
        return CARDS[self.defect].dimensions[self.subject] if self.defect else ()


def subject_of(prompt: str) -> Subject:
    """Return the subject of a prompt; a person's portrait unless a word speaks of something else."""
    words = prompt.lower()
    if any(sign in words for sign in _AD_WORDS):
        return Subject.ad_creative
    return Subject.product if any(word in words for word in _PRODUCT_WORDS) else Subject.headshot


def prompt_fingerprint(prompt: str) -> int:
    """Return a stable 32-bit number for a prompt: another prompt, another picture."""
    return int.from_bytes(hashlib.blake2b(prompt.encode(), digest_size=4).digest(), "big")


class Renderer:
    """Renders pictures. Safe to call from several threads at once."""

    def __init__(self) -> None:
        """Prepare the studio once."""
        self._studio = Studio()

    def render(self, order: RenderRequest) -> RenderedPicture:
        """Make the requested picture (about 20 ms of one core for 1024 x 1024 JPEG, 75 ms for PNG)."""
        repeated = order.defect is Defect.near_duplicate and order.repeats is not None
        rng = np.random.default_rng(order.repeats if repeated else order.key)
        picture = compose(self._studio, order.subject, order.size, order.defect, rng)
        if order.subject is Subject.ad_creative:
            fault = next((known for known in Fault if known.value == order.defect), None)
            picture = lettered(picture, order.wording, fault, np.random.default_rng((*order.key, 2)))
        picture = apply_defect(picture, order.defect, np.random.default_rng((*order.key, 1)))
        content = encode(picture, order.output_format)
        if order.defect is Defect.truncated:
            content = content[: len(content) * 2 // 5]
        return RenderedPicture(
            content=content,
            sha256=hashlib.sha256(content).hexdigest(),
            content_type=f"image/{order.output_format}",
            width=picture.shape[1],
            height=picture.shape[0],
            subject=order.subject,
            defect=order.defect,
        )


def encode(picture: Picture, output_format: OutputFormat) -> bytes:
    """Encode ``(H, W, 3) uint8 BGR``, or with straight alpha ``(H, W, 4)``; JPEG lays that on white."""
    if picture.shape[2] == 4 and output_format == "jpeg":
        alpha = picture[..., 3:].astype(np.float32) / 255
        picture = (picture[..., :3] * alpha + 255 * (1 - alpha)).round().astype(np.uint8)
    extension, settings = _ENCODERS[output_format]
    ok, encoded = cv2.imencode(extension, picture, settings)
    if not ok:
        raise RuntimeError(f"OpenCV could not encode {output_format}")
    return encoded.tobytes()

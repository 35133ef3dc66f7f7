"""The analysis of a picture: what several dimensions share, each part computed once and only when asked for."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from services.scorer.domain.references import NO_WORDING, Wording
from services.scorer.vision import classic
from services.scorer.vision.composition import Composition, measure_composition
from services.scorer.vision.cutout import Cutout, cutout
from services.scorer.vision.decode import Picture
from services.scorer.vision.faces import FaceBox, FaceMesh, Floats, count_faces
from services.scorer.vision.frame import Frame
from services.scorer.vision.hands import Hand, square_around
from services.scorer.vision.identity import embed, face_chip
from services.scorer.vision.isolation import Isolation, isolation
from services.scorer.vision.model_set import (
    FACE_LANDMARKER,
    IDENTITY,
    SALIENCY,
    TEXT_DETECTOR,
    TEXT_READER,
    Models,
)
from services.scorer.vision.noise import NoiseLevel
from services.scorer.vision.ocr import TextLine, read_lines
from services.scorer.vision.salient import salient

_FACE_REGION_SIDE_MIN_PX: Final = 32
_FACE_DETAIL_WIDTH_PX: Final = 96
_PALM_SEARCH_SCALE: Final = 1.6
_MODERATION_SIDE_PX: Final = 256
_MODERATION_CROP_PX: Final = 224


class Region(StrEnum):
    """Region that the profile is about; sharpness and exposure are judged there rather than over the whole frame."""

    frame = "frame"
    subject = "subject"
    face = "face"


@dataclass
class ImageAnalysis:
    """A decoded picture, the models of the process, and what was found so far.

    ``regions`` are those that the wanted dimensions follow. ``reference`` is the analysis of the picture of
    the same person or thing that the candidate is compared with, None without such a picture. ``prompt`` is
    what was asked for, ``wording`` the copy and colours to be shown.
    """

    picture: Picture
    models: Models
    regions: frozenset[Region] = field(default_factory=frozenset)
    reference: ImageAnalysis | None = None
    prompt: str = ""
    wording: Wording = NO_WORDING

    @cached_property
    def half(self) -> NDArray[np.uint8]:
        """Return a grey copy at half the size."""
        return classic.halved(self.picture.grey)

    @cached_property
    def quarter(self) -> NDArray[np.uint8]:
        """Return a grey copy at a quarter of the size."""
        return classic.halved(self.half)

    @cached_property
    def frame(self) -> Frame:
        """Return the measures of the whole frame."""
        return self.models.frame(self.picture.grey)

    @cached_property
    def noise(self) -> NoiseLevel:
        """Return the noise, fine and in blotches."""
        return self.frame.noise(self.half, self.quarter)

    @cached_property
    def small(self) -> NDArray[np.uint8]:
        """Return a grey copy whose short side has less than 256 pixels."""
        grey = self.picture.grey
        return classic.small_copy(self.quarter if min(grey.shape) >= 2 * classic.SMALL_SIDE else grey)

    @cached_property
    def faces(self) -> list[FaceBox]:
        """Return all faces, largest first."""
        return count_faces(self.picture.rgb)

    @cached_property
    def mesh(self) -> FaceMesh | None:
        """Return the largest face's landmarks; None without a face, or where no wanted dimension is about faces."""
        if Region.face not in self.regions or not self.faces or self.models.lacks(FACE_LANDMARKER):
            return None
        return self.models.landmarker.locate(self.picture.rgb, self.faces[0])

    @cached_property
    def isolation(self) -> Isolation:
        """Return how the subject stands before its ground, by classical means."""
        return isolation(self.picture.rgb)

    @cached_property
    def composition(self) -> Composition | None:
        """Return how the subject stands in its frame and on its ground; None without a subject."""
        subject = self.isolation.subject
        return None if subject is None else measure_composition(self.picture.rgb, subject)

    @cached_property
    def cutout(self) -> Cutout | None:
        """Return how well the picture was cut out; None where it is opaque, or there is nothing but ground."""
        straight = self.picture.straight
        return None if straight is None else cutout(straight[0], straight[1])

    @cached_property
    def face_region(self) -> NDArray[np.uint8] | None:
        """Return the grey face, or None when there is none large enough to be judged by itself."""
        if self.mesh is None:
            return None
        left, top, right, bottom = (int(value) for value in self.mesh.hull())
        region = self.picture.grey[max(0, top) : max(0, bottom), max(0, left) : max(0, right)]
        return region if region.size and min(region.shape) >= _FACE_REGION_SIDE_MIN_PX else None

    @cached_property
    def face_detail(self) -> float:
        """Return the face's sharpness at one common size, so that it says what the landmarks could see."""
        region = self.face_region
        if region is None:
            return 0.0
        scale = min(1.0, _FACE_DETAIL_WIDTH_PX / region.shape[1])
        size = (max(1, round(region.shape[1] * scale)), max(1, round(region.shape[0] * scale)))
        small = cv2.resize(region, size, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        return classic.sharpness(small, 0.0).ratio

    @cached_property
    def face_sharpness(self) -> classic.Sharpness | None:
        """Return the sharpness of the face at its own size."""
        return None if self.face_region is None else classic.sharpness(self.face_region, self.noise.flat)

    @cached_property
    def matte(self) -> Floats:
        """Return where the person is, ``(256, 256) float32`` in 0..1; raises ModelMissing."""
        return self.models.matte.of(self.picture.rgb)

    @cached_property
    def hands(self) -> list[Hand]:
        """Return the palms at the largest face, in pixels of the picture, the surest first; raises ModelMissing."""
        if self.mesh is None:
            return []
        square, (x, y) = square_around(self.picture.rgb, self.mesh.hull(), _PALM_SEARCH_SCALE)
        return [
            replace(palm, left=palm.left + x, right=palm.right + x, top=palm.top + y, bottom=palm.bottom + y)
            for palm in self.models.hands.of(square)
        ]

    @cached_property
    def chip(self) -> NDArray[np.uint8] | None:
        """Return the largest face upright, ``(150, 150, 3) uint8 RGB``."""
        return None if self.mesh is None else face_chip(self.picture.rgb, self.mesh.points)

    @cached_property
    def embedding(self) -> Floats | None:
        """Return the 128 values that tell whose face it is; raises ModelMissing."""
        return None if self.chip is None else embed(self.models.network(IDENTITY), self.chip)

    @cached_property
    def lines(self) -> list[TextLine]:
        """Return all lines of text, sure or not; raises ModelMissing."""
        networks = self.models.network(TEXT_DETECTOR), self.models.network(TEXT_READER)
        return read_lines(self.picture.rgb, *networks)

    @cached_property
    def salient(self) -> Floats:
        """Return how much each part stands out, ``(320, 320) float32`` in 0..1; raises ModelMissing."""
        return salient(self.picture.rgb, self.models.network(SALIENCY))

    @cached_property
    def tower_embedding(self) -> Floats:
        """Return the picture in the space of the mounted towers, a unit vector; raises ModelMissing."""
        embedding: Floats = self.models.towers.of_pictures([self.picture.rgb])[0]
        return embedding

    @cached_property
    def moderation_crop(self) -> NDArray[np.uint8]:
        """Return the middle 224 px of the picture at 256 px, as open_nsfw was trained."""
        side = (_MODERATION_SIDE_PX, _MODERATION_SIDE_PX)
        small = cv2.resize(self.picture.rgb, side, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)
        edge = (_MODERATION_SIDE_PX - _MODERATION_CROP_PX) // 2
        return np.ascontiguousarray(small[edge:-edge, edge:-edge])

"""Light and colour on the face, judged on the cheeks: evenness, natural colour, tone against the reference.

Nothing here asks for an absolute tone: colour is a wide box, tone is compared with the person's own reference
picture only.
"""

from __future__ import annotations

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from services.scorer.dimensions.dimension import Dimension, failed, not_applicable, ok, table
from services.scorer.domain.measures import Measurement
from services.scorer.vision.faces import Floats
from services.scorer.vision.image_analysis import ImageAnalysis, Region
from services.scorer.vision.model_set import FACE_LANDMARKER

LIGHTING: Final = "lighting_evenness"
NATURAL_COLOUR: Final = "natural_colour"
SKIN_TONE: Final = "skin_tone_shift"
FACE_SHARPNESS: Final = "face_sharpness"

_CHEEKS: Final = ((50, 101, 36, 205, 187, 123), (280, 330, 266, 425, 411, 352))
_PIXELS_MIN: Final = 64
_BINS: Final = 32
_A_BOX: Final = (5.0, 25.0)
_B_BOX: Final = (5.0, 35.0)
_UNNATURAL: Final = 100.0
_COLOUR_MIN: Final = 0.5
_CLIPPED_SHARE_MAX: Final = 0.25
_CLIPPED: Final = 250
_LUMINANCE: Final = np.array([0.2126, 0.7152, 0.0722])

Pixels = NDArray[np.uint8]


def cheeks(analysis: ImageAnalysis) -> tuple[Pixels, Pixels] | None:
    """Return the RGB pixels ``(n, 3)`` of the right and the left cheek, or None where there are too few to judge."""
    if analysis.mesh is None:
        return None
    first, second = (_inside(analysis.picture.rgb, analysis.mesh.points[list(zone)]) for zone in _CHEEKS)
    return (first, second) if min(len(first), len(second)) >= _PIXELS_MIN else None


def evenness(first: Pixels, second: Pixels) -> float:
    """Return the shared area of both cheeks' luminance histograms, 0..1 (OFIQ IlluminationUniformity)."""
    edges = (0.0, 256.0)
    shares = [
        np.histogram(side @ _LUMINANCE, _BINS, edges)[0] / max(1, len(side)) for side in (first, second)
    ]
    return float(np.minimum(*shares).sum())


def colour_distance(pixels: Pixels) -> tuple[float, float, float]:
    """Return the distance of the mean a*, b* from the box of skin colours, and a*, b*.

    The box is a* 5..25, b* 5..35; the distance is 100 where a* or b* is negative (OFIQ NaturalColour). It is
    also 100 where a* or b* is nearly 0, so that a picture without colour is not called natural.
    """
    lab = cv2.cvtColor((pixels[None].astype(np.float32) / 255), cv2.COLOR_RGB2LAB)[0]
    a, b = float(lab[:, 1].mean()), float(lab[:, 2].mean())
    if min(a, b) < _COLOUR_MIN:
        return _UNNATURAL, a, b
    off = [max(low - value, 0.0, value - high) for value, (low, high) in ((a, _A_BOX), (b, _B_BOX))]
    return math.hypot(*off), a, b


def stops(pixels: Pixels) -> float:
    """Return the mean linear luminance of the pixels in stops below white (sRGB transfer)."""
    value = pixels.astype(np.float64) / 255
    linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
    return math.log2(max(1e-6, float((linear @ _LUMINANCE).mean())))


def _inside(rgb: NDArray[np.uint8], zone: Floats) -> Pixels:
    low = np.maximum(np.floor(zone.min(axis=0)).astype(int), 0)
    high = np.minimum(np.ceil(zone.max(axis=0)).astype(int) + 1, rgb.shape[1::-1])
    if (high <= low).any():
        return np.empty((0, 3), np.uint8)
    mask = np.zeros((high[1] - low[1], high[0] - low[0]), np.uint8)
    cv2.fillConvexPoly(mask, cv2.convexHull((zone - low).round().astype(np.int32)), (1,))
    pixels: Pixels = rgb[low[1] : high[1], low[0] : high[0]][mask.astype(bool)]
    return pixels


def _evidence(analysis: ImageAnalysis) -> dict[str, float | int | str]:
    presence = analysis.mesh.presence if analysis.mesh is not None else 0.0
    return {"presence": round(presence, 4)}


def _lighting(analysis: ImageAnalysis) -> Measurement:
    found = cheeks(analysis)
    if found is None:
        return failed(LIGHTING, "no_cheeks")
    return ok(LIGHTING, round(evenness(*found), 4), _evidence(analysis))


def _natural_colour(analysis: ImageAnalysis) -> Measurement:
    found = cheeks(analysis)
    if found is None:
        return failed(NATURAL_COLOUR, "no_cheeks")
    distance, a, b = colour_distance(np.concatenate(found))
    return ok(NATURAL_COLOUR, round(distance, 3), _evidence(analysis) | {"a": round(a, 2), "b": round(b, 2)})


def _skin_tone(analysis: ImageAnalysis) -> Measurement:
    """Measure how many stops the cheeks are off the reference; clipped skin cannot say how far over it is."""
    if analysis.reference is None:
        return not_applicable(SKIN_TONE, "no_reference")
    cheek_pixels, reference_pixels = cheeks(analysis), cheeks(analysis.reference)
    if cheek_pixels is None or reference_pixels is None:
        return failed(SKIN_TONE, "no_cheeks" if cheek_pixels is None else "no_cheeks_in_reference")
    pixels = np.concatenate(cheek_pixels)
    # Skin's strongest channel clips early and says little; with the second one gone, luminance no longer rises.
    clipped = float((np.median(pixels, axis=1) >= _CLIPPED).mean())
    evidence = _evidence(analysis) | {"clipped_share": round(clipped, 4)}
    if clipped > _CLIPPED_SHARE_MAX:
        return failed(SKIN_TONE, "skin_clipped", evidence)
    shift = stops(pixels) - stops(np.concatenate(reference_pixels))
    return ok(SKIN_TONE, round(abs(shift), 3), evidence | {"shift_stops": round(shift, 3)})


def _face_sharpness(analysis: ImageAnalysis) -> Measurement:
    found = analysis.face_sharpness
    if found is None:
        return failed(FACE_SHARPNESS, "no_face" if analysis.mesh is None else "face_too_small")
    return ok(FACE_SHARPNESS, round(found.ratio, 4), _evidence(analysis) | {"method": found.method})


_MESH: Final = (FACE_LANDMARKER,)

SKIN: Final = table(
    Dimension(LIGHTING, 2, "shared area of both cheeks' histograms, 0..1", _lighting, _MESH, Region.face),
    Dimension(
        NATURAL_COLOUR, 2, "CIELAB distance from the box of skin colours", _natural_colour, _MESH, Region.face
    ),
    Dimension(SKIN_TONE, 2, "stops off the reference", _skin_tone, _MESH, Region.face),
    Dimension(FACE_SHARPNESS, 2, "ratio of fine to coarse structure", _face_sharpness, _MESH, Region.face),
)

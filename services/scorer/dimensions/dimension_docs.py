"""Account of each dimension: its formula, where that comes from, when no value is given, how its limit was set.

The units, models and limits stand in the register and in the profiles; ``docs/dimensions.md`` is made of all three.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

OWN: Final = "own"
OFIQ: Final = "ISO/IEC 29794-5 (OFIQ)"


@dataclass(frozen=True, slots=True)
class DimensionDoc:
    """One dimension's evidence, as short sentences.

    ``not_ok`` says when the status is not ``ok``. It leaves out a missing model and a picture that does not
    decode, which hold for every dimension. ``calibration`` says on what the built-in limit was set.
    """

    formula: str
    source: str
    not_ok: str
    calibration: str


_DRAWN: Final = "drawings of known truth; the simulators' clean pictures"
_LABELLED: Final = "labelled set, clean against defective (make bench-quality)"
_STUDIO: Final = "worst of 60 clean studio pictures, with room on top"
_NOT_SET: Final = "no limit: reported"
_PUBLISHED: Final = "published map, not fitted here"
_NO_FACE: Final = "no face, or the landmarks are unsure of it"
_NO_CHEEKS: Final = "no face, or cheeks of fewer than 64 pixels"
_NO_CUT_OUT: Final = "opaque, or nothing but ground"
_NO_SUBJECT: Final = "no subject before a ground"
_NO_COPY: Final = "not applicable without ordered copy"

DIMENSION_DOCS: Final[dict[str, DimensionDoc]] = {
    "decodable": DimensionDoc("1 when every pixel decodes within the limits of size", OWN, "never", "exact"),
    "content": DimensionDoc("lesser of tonal range over 14 levels and coarse detail over 0.8", OWN, "never", _LABELLED),
    "resolution": DimensionDoc("short side over the scale at which detail begins", OWN, "never", _LABELLED),
    "sharpness": DimensionDoc("second over first difference energy of the weakest direction, noise taken off", "Laplacian over Tenengrad", "never", _LABELLED),
    "blockiness": DimensionDoc("steps on the 8-pixel grid against steps off it", "blocking artefacts of block DCT", "never", _LABELLED),
    "noise": DimensionDoc("standard deviation in the flattest tiles, texture taken off by scale", OWN, "never", _LABELLED),
    "banding": DimensionDoc("median share of a slow slope in its two steepest neighbouring steps", OWN, "never", _LABELLED),
    "exposure": DimensionDoc("worst of clipped and dark shares over their limits, on face, subject or frame", OWN, "never", _LABELLED),
    "near_duplicate": DimensionDoc("64-bit DCT hash as evidence; selection compares by Hamming distance", "perceptual hash", "never", "114 pairs, distance 10"),
    "repeated_mark": DimensionDoc("highest weighted autocorrelation of fine detail beyond 18 px of 256", "Wiener and Khinchin", "not applicable where nothing is calm", "54 clean pictures, 36 marks (tests/unit/scorer/test_overlays.py)"),
    "placeholder": DimensionDoc("pixels in the two commonest tones, three levels wide", OWN, "never", "a card against nine photographs"),
    "face_count": DimensionDoc("boxes of the face detector at 320 px", "libfacedetection", "never", "exact"),
    "face_framing": DimensionDoc("tightest of side, top, bottom and size margins over their limits", OFIQ, _NO_FACE, _STUDIO),
    "eyes_open": DimensionDoc("lesser of eye aspect ratio over 0.15 and blink room under 0.35", "Soukupova and Cech 2016; blendshapes", _NO_FACE, "open and warped-shut eyes of one portrait"),
    "inter_eye_distance": DimensionDoc("distance of the pupils over cos(yaw)", OFIQ, _NO_FACE, _PUBLISHED),
    "head_size": DimensionDoc("distance of T over the frame's height from 0.45", OFIQ, _NO_FACE, _PUBLISHED),
    "margin_left": DimensionDoc("leftmost eye to the border over the inter-eye distance", OFIQ, _NO_FACE, _PUBLISHED),
    "margin_right": DimensionDoc("rightmost eye to the border over the inter-eye distance", OFIQ, _NO_FACE, _PUBLISHED),
    "margin_above": DimensionDoc("eyes to the upper border over T", OFIQ, _NO_FACE, _PUBLISHED),
    "margin_below": DimensionDoc("eyes to the lower border over T", OFIQ, _NO_FACE, _PUBLISHED),
    "head_yaw": DimensionDoc("angle of the temple line into depth", OFIQ, _NO_FACE, _STUDIO),
    "head_pitch": DimensionDoc("angle of the line from forehead to chin into depth", OFIQ, _NO_FACE, _STUDIO),
    "head_roll": DimensionDoc("angle of the eye line", OFIQ, _NO_FACE, _STUDIO),
    "gaze": DimensionDoc("iris off the middle of the eye along the eye line, in half widths", OWN, _NO_FACE, _NOT_SET),
    "mouth_closed": DimensionDoc("largest gap of the inner lips over T", OFIQ, _NO_FACE, _PUBLISHED),
    "expression_neutral": DimensionDoc("length of the vector of expression blendshapes", OWN, _NO_FACE, _NOT_SET),
    "lighting_evenness": DimensionDoc("shared area of both cheeks' luminance histograms", OFIQ, _NO_CHEEKS, _NOT_SET),
    "natural_colour": DimensionDoc("distance of the cheeks' mean a*, b* from a box of skin colours", OFIQ, _NO_CHEEKS, _STUDIO),
    "skin_tone_shift": DimensionDoc("difference of the cheeks' mean luminance from the reference's, log2", OWN, "no cheeks, clipped skin; not applicable without a reference", "one portrait at known exposures"),
    "face_sharpness": DimensionDoc("sharpness inside the face's hull", "Laplacian over Tenengrad", "no face of 32 px", _NOT_SET),
    "identity_distance": DimensionDoc("Euclidean distance of two 128-value embeddings", "dlib's ResNet", "no face here or there; not applicable without a reference", "22 faces, one pair of one person"),
    "hand_over_face": DimensionDoc("share of the face's box under the palm's box that covers most of it", "MediaPipe palm detector", _NO_FACE, "hands of photographs laid over a portrait, faces without"),
    "face_occlusion": DimensionDoc("deviation of luminance in the weaker eye zone over 6 levels", OWN, _NO_FACE, _STUDIO),
    "background_uniformity": DimensionDoc("mean Sobel gradient of the ground at 256 px", OFIQ, "person fills the frame", _PUBLISHED),
    "isolation": DimensionDoc("weakest of even border, one component, size and place over their limits", OWN, "never", _DRAWN),
    "subject_margins": DimensionDoc("least room to the border over that side", OWN, _NO_SUBJECT, _DRAWN),
    "subject_cut": DimensionDoc("share of the border under the subject", OWN, _NO_SUBJECT, _DRAWN),
    "ground_evenness": DimensionDoc("95th percentile of CIEDE2000 from the ground's median", "Sharma, Wu and Dalal 2005", _NO_SUBJECT, _NOT_SET),
    "ground_to_white": DimensionDoc("CIEDE2000 of the ground's median from white", "Sharma, Wu and Dalal 2005", _NO_SUBJECT, _NOT_SET),
    "shadow": DimensionDoc("95th percentile of the fitted ground's L* less the shadow's", OWN, _NO_SUBJECT, "drawn shadows; reported only"),
    "alpha_edges": DimensionDoc("soft edge's width between 0.4 and 8 px, as a margin", OWN, _NO_CUT_OUT, _DRAWN),
    "alpha_holes": DimensionDoc("area of holes and islands below 2 % of the subject, over the subject's", OWN, _NO_CUT_OUT, _DRAWN),
    "alpha_halo": DimensionDoc("median 8-bit Lab distance of the rim from the nearest solid colour", OWN, "opaque, or no soft edge", _DRAWN),
    "nsfw": DimensionDoc("probability of the middle 224 px at 256 px", "open_nsfw", "never", "clothed people, animals, things only (at most 0.07)"),
    "text": DimensionDoc("words of lines read with 0.8 and 3 letters", "PP-OCR", "never", _NOT_SET),
    "copy_distance": DimensionDoc("edit distance of the copy's lines from the nearest stretches read, over its letters", "Sellers 1980", _NO_COPY, "simulated advertisements, 0 against 0.2 and more"),
    "copy_extra": DimensionDoc("letters read outside the copy's lines over the copy's letters", OWN, _NO_COPY, "simulated advertisements; chosen"),
    "text_area": DimensionDoc("area of boxes of lines over the frame", "Meta's former 20 % rule", "never", "simulated advertisements, at most 0.14"),
    "text_safe_zone": DimensionDoc("area of lines outside the safe area over that of all", "Meta's advice; EBU R 95", "not applicable without text", "simulated advertisements, 0 against 0.14 and more"),
    "text_legibility": DimensionDoc("lesser of contrast over 3 or 4.5 and height over 11 px of a 360 px screen", "WCAG 2.2; Apple HIG", "not applicable without text", "simulated advertisements, 1.07 and more against at most 0.47"),
    "copy_legibility": DimensionDoc("text_legibility of the lines of the copy alone", "WCAG 2.2; Apple HIG", _NO_COPY, "as text_legibility"),
    "brand_colour": DimensionDoc("0.2 % quantile of CIEDE2000 from the brand colour, the most missed one", "Sharma, Wu and Dalal 2005", "not applicable without ordered colours", "simulated advertisements, at most 1.1 against 5.4 and more"),
    "subject_safe_zone": DimensionDoc("saliency of 0.5 and more outside the safe area, over all of it", "U-2-Net; EBU R 95", "nothing stands out", "chosen; simulated advertisements read 0"),
    "prompt_alignment": DimensionDoc("cosine of the mounted towers' picture and prompt", "CLIP, SigLIP", "not applicable without a prompt", "the mounted pair's own"),
    "prompt_subject": DimensionDoc("mean label vector, by probability, against the prompt's: deviations above an average label", "EfficientNet-Lite0; all-MiniLM-L6-v2", "not applicable without a prompt; unavailable where it names no label; failure where the labels are unsure", _NOT_SET),
    "aesthetic": DimensionDoc("the mounted head over the picture's embedding", "the mounted head", "never", "the mounted head's own"),
}  # fmt: skip

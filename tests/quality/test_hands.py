"""Photographed hands over a portrait, and people without one. The hands lie in a package from npm."""

from __future__ import annotations

import pytest

from tests.quality.judging import judged, missed
from tests.quality.pictures import HANDS, hand_over_mouth, people, scene, single_faces
from tests.unit.scorer.photographs import png

GROUPS = people()
DIMENSION = "hand_over_face"


@pytest.mark.skipif(GROUPS is None, reason="the photographs of hands need npm")
@pytest.mark.timeout(120)
def test_most_hands_over_the_mouth_are_refused_and_no_face_without_one_is() -> None:
    assert GROUPS is not None
    portrait = scene("astronaut.png")

    covered = [judged(png(hand_over_mouth(portrait, hand, GROUPS)), "headshot") for hand in HANDS]
    palms = [
        dimension.raw
        for found in covered
        for dimension in found.dimensions
        if dimension.name == DIMENSION and dimension.raw
    ]
    refused = [
        DIMENSION in missed(judged(png(face), "headshot")) for group in GROUPS for face in single_faces(group)
    ]

    # Where the hand hides so much that the landmarks are unsure, nothing is said of palms, and eyes or framing refuse.
    assert len(palms) >= 3, palms
    assert sum(not found.passed for found in covered) >= 6
    assert len(refused) >= 15
    assert not any(refused), refused


def test_a_portrait_has_no_hand_before_it() -> None:
    assert DIMENSION not in missed(judged(png(scene("astronaut.png")), "headshot"))

"""Palms: the square that is searched, what of a face lies under one."""

from __future__ import annotations

import numpy as np
import pytest

from services.scorer.vision.hands import Hand, covered_share, square_around

FACE = np.array([10, 20, 30, 60], np.float32)


def test_a_square_keeps_its_side_beyond_the_border() -> None:
    rgb = np.full((50, 40, 3), 200, np.uint8)

    square, corner = square_around(rgb, FACE, 2.0)

    assert square.shape == (80, 80, 3)
    assert corner == (-20, 0)
    assert (square[:50, 20:60] == 200).all()
    assert square.sum() == 50 * 40 * 3 * 200


def test_a_square_away_from_the_picture_is_black() -> None:
    square, _ = square_around(np.full((8, 8, 3), 9, np.uint8), FACE + 100, 1.0)

    assert not square.any()


@pytest.mark.parametrize(
    ("hands", "share"),
    [
        ([], 0.0),
        ([Hand(30, 20, 50, 60, 0.95)], 0.0),
        ([Hand(20, 40, 99, 99, 0.95)], 0.25),
        ([Hand(20, 40, 99, 99, 0.95), Hand(0, 0, 99, 99, 0.91)], 1.0),
    ],
)
def test_a_face_is_covered_by_the_palm_that_covers_most_of_it(hands: list[Hand], share: float) -> None:
    assert covered_share(hands, FACE) == pytest.approx(share)

"""Every defect does what its card says, by measures of our own."""

import os

import numpy as np
import pytest

from simulators.defects import CARDS, Defect, draw_defect
from simulators.photos.assets import Picture
from simulators.photos.eyelids import FaceMesh
from simulators.photos.studio import Subject
from simulators.renderer import Renderer, RenderRequest
from tests.unit.simulators import measures

SEEDS = range(int(os.environ.get("WINNOW_TEST_DEFECT_SEEDS", "3")))
OPAQUE = [Subject.headshot, Subject.product, Subject.ad_creative]
BOTH = OPAQUE[:2]


@pytest.mark.parametrize("subject", OPAQUE)
@pytest.mark.parametrize("defect", [Defect.blur, Defect.upscaled])
def test_softness_lies_below_the_sharpness_threshold(
    renderer: Renderer, subject: Subject, defect: Defect
) -> None:
    for picture in _pictures(renderer, subject, defect):
        assert measures.laplacian_over_tenengrad(measures.grey(picture)) < 0.013


@pytest.mark.parametrize("subject", OPAQUE)
def test_blocks_and_noise_lie_beyond_their_thresholds(renderer: Renderer, subject: Subject) -> None:
    for picture in _pictures(renderer, subject, Defect.jpeg_blocks):
        assert measures.blockiness(measures.grey(picture)) > 2
    for picture in _pictures(renderer, subject, Defect.noise):
        assert measures.flat_noise(measures.grey(picture)) > 12


@pytest.mark.parametrize("subject", BOTH)
def test_exposure_is_beyond_rescue(renderer: Renderer, subject: Subject) -> None:
    for picture in _pictures(renderer, subject, Defect.underexposed):
        assert np.percentile(measures.grey(picture), 95) < 60
    for picture in _pictures(renderer, subject, Defect.overexposed):
        assert (measures.grey(picture) > 250).mean() > 0.15


def test_eyes_are_shut_and_the_face_is_still_found(renderer: Renderer) -> None:
    mesh = FaceMesh()
    for picture in _pictures(renderer, Subject.headshot, Defect.closed_eyes):
        (face,) = measures.faces(picture)
        assert measures.eye_aspect_ratio(mesh, picture, face) < 0.12


def test_faces_are_two_or_cut_or_tiny_or_none(renderer: Renderer) -> None:
    for picture in _pictures(renderer, Subject.headshot, Defect.two_faces):
        assert len(measures.faces(picture)) == 2
    for picture in _pictures(renderer, Subject.headshot, Defect.cropped_face):
        assert all(_touches_border(face, picture) for face in measures.faces(picture))
    for picture in _pictures(renderer, Subject.headshot, Defect.tiny_face):
        assert all(width < 0.1 * picture.shape[1] for _, _, width, _ in measures.faces(picture))
    for defect in (Defect.wrong_subject, Defect.no_subject):
        for picture in _pictures(renderer, Subject.headshot, defect):
            assert measures.faces(picture) == []


def test_low_resolution_is_really_small(renderer: Renderer) -> None:
    made = renderer.render(_order(Subject.headshot, Defect.low_resolution, 1))

    assert max(made.width, made.height) <= 256


def test_truncated_picture_cannot_be_read(renderer: Renderer) -> None:
    whole = renderer.render(_order(Subject.product, None, 1))
    cut = renderer.render(_order(Subject.product, Defect.truncated, 1))

    assert whole.content.startswith(cut.content)
    assert not cut.content.endswith(b"\xff\xd9")


def test_near_duplicate_repeats_the_named_picture(renderer: Renderer) -> None:
    for seed in SEEDS:
        first = _picture(renderer, _order(Subject.headshot, None, seed))
        order = RenderRequest(
            (9, seed), Subject.headshot, (1024, 1024), "jpeg", Defect.near_duplicate, (4, seed)
        )
        second = _picture(renderer, order)
        differing = np.sum(measures.perceptual_hash(first) != measures.perceptual_hash(second))
        assert differing <= 8
        assert not np.array_equal(first, second)


def test_same_order_gives_the_same_bytes_and_another_seed_does_not(renderer: Renderer) -> None:
    for defect in (None, Defect.noise, Defect.closed_eyes):
        first = renderer.render(_order(Subject.headshot, defect, 1))
        assert renderer.render(_order(Subject.headshot, defect, 1)).content == first.content
        assert renderer.render(_order(Subject.headshot, defect, 2)).content != first.content


def test_every_defect_names_a_dimension_for_each_subject_it_fits() -> None:
    assert set(CARDS) == set(Defect)
    assert all(dimensions for card in CARDS.values() for dimensions in card.dimensions.values())


@pytest.mark.parametrize("subject", list(Subject))
def test_defects_are_drawn_at_the_asked_rate_and_only_fitting_ones(subject: Subject) -> None:
    rng = np.random.default_rng(1)
    drawn = [draw_defect(rng, subject, 0.3) for _ in range(2000)]
    spoilt = [defect for defect in drawn if defect]

    assert 0.25 < len(spoilt) / len(drawn) < 0.35
    assert set(spoilt) == {
        defect for defect, card in CARDS.items() if card.applies_to(subject) and card.weight
    }


def _touches_border(face: tuple[float, float, float, float], picture: Picture) -> bool:
    x, y, width, _ = face
    near = 0.03 * picture.shape[1]
    return x < near or y < near or x + width > picture.shape[1] - near


def _order(subject: Subject, defect: Defect | None, seed: int) -> RenderRequest:
    return RenderRequest((4, seed), subject, (1024, 1024), "jpeg", defect)


def _picture(renderer: Renderer, order: RenderRequest) -> Picture:
    picture = measures.picture_of(renderer.render(order))
    assert picture is not None
    return picture


def _pictures(renderer: Renderer, subject: Subject, defect: Defect) -> list[Picture]:
    return [_picture(renderer, _order(subject, defect, seed)) for seed in SEEDS]

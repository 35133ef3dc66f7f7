"""Good pictures are good, by measures of our own, and a real choice."""

import itertools

import numpy as np
import pytest

from simulators.photos.assets import Picture
from simulators.photos.eyelids import FaceMesh
from simulators.photos.studio import Subject
from simulators.renderer import Renderer, RenderRequest
from tests.unit.simulators import measures

COUNT = 24
FACES_COUNT = 12
"""Finding a face takes ten times as long as the other measures."""


# Cut-outs stand before nothing: tone and likeness of whole frames say little of them.
@pytest.fixture(scope="module", params=[Subject.headshot, Subject.product, Subject.ad_creative])
def subject(request: pytest.FixtureRequest) -> Subject:
    return request.param


@pytest.fixture(scope="module")
def pictures(renderer: Renderer, subject: Subject) -> list[Picture]:
    return [_picture(renderer, subject, seed) for seed in range(COUNT)]


def test_pictures_are_technically_clean(pictures: list[Picture]) -> None:
    planes = [measures.grey(picture) for picture in pictures]

    assert min(map(measures.laplacian_over_tenengrad, planes)) > 0.03
    assert max(map(measures.blockiness, planes)) < 1.2
    assert max(map(measures.flat_noise, planes)) < 3
    assert all(50 < plane.mean() < 205 for plane in planes)
    assert max((plane > 250).mean() for plane in planes) < 0.03


def test_few_pairs_are_near_duplicates(pictures: list[Picture]) -> None:
    hashes = [measures.perceptual_hash(picture) for picture in pictures]
    distances = [int(np.sum(digest != other)) for digest, other in itertools.combinations(hashes, 2)]

    assert sum(distance <= 10 for distance in distances) / len(distances) < 0.02
    assert np.median(distances) >= 20


@pytest.mark.parametrize("subject", [Subject.headshot], indirect=True)
def test_headshots_show_one_large_face_with_open_eyes(pictures: list[Picture]) -> None:
    mesh = FaceMesh()
    for seed, picture in enumerate(pictures[:FACES_COUNT]):
        (face,) = measures.faces(picture)
        x, y, width, height = face
        assert 0.2 < width / picture.shape[1] < 0.45, seed
        assert x > 0.05 * picture.shape[1], seed
        assert x + width < 0.95 * picture.shape[1], seed
        assert y > 0.05 * picture.shape[0], seed
        assert y + height < 0.95 * picture.shape[0], seed
        assert measures.eye_aspect_ratio(mesh, picture, face) > 0.22, seed


@pytest.mark.parametrize("subject", [Subject.product], indirect=True)
def test_products_show_no_face(pictures: list[Picture]) -> None:
    assert not any(measures.faces(picture) for picture in pictures[:FACES_COUNT])


def _picture(renderer: Renderer, subject: Subject, seed: int) -> Picture:
    picture = measures.picture_of(renderer.render(RenderRequest((5, seed), subject, (1024, 1024), "jpeg")))
    assert picture is not None
    return picture

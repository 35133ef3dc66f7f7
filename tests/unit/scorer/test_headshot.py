"""Geometry and content of a headshot, on portraits changed by a known amount or on points of known geometry."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from services.scorer.dimensions import pose
from services.scorer.vision.model_set import Models
from tests.support.opencv import pixels
from tests.unit.scorer.headshots import PORTRAIT, covered_eyes, raw, take
from tests.unit.scorer.photographs import exposed, photograph


@pytest.mark.parametrize("angle_deg", [-20, -8, 8, 20])
def test_roll_is_the_angle_that_the_picture_was_turned_by(models: Models, angle_deg: float) -> None:
    turn = cv2.getRotationMatrix2D((224, 120), angle_deg, 1)
    turned = pixels(cv2.warpAffine(PORTRAIT, turn, (512, 512), borderMode=cv2.BORDER_REFLECT))
    upright = take(models, "head_roll", PORTRAIT).raw
    assert upright is not None
    assert raw(models, "head_roll", turned) == pytest.approx(abs(angle_deg + upright), abs=2) or raw(
        models, "head_roll", turned
    ) == pytest.approx(abs(angle_deg - upright), abs=2)


@pytest.mark.parametrize(("yaw_deg", "pitch_deg"), [(0, 0), (25, 0), (-40, 0), (0, 20), (0, -15)])
def test_yaw_and_pitch_are_the_rotation_of_the_head(yaw_deg: float, pitch_deg: float) -> None:
    head = np.zeros((478, 3))
    head[234], head[454], head[10], head[152] = (-70, 0, 0), (70, 0, 0), (0, -90, 0), (0, 90, 0)
    yaw, pitch = math.radians(yaw_deg), math.radians(pitch_deg)
    about_y = np.array([[math.cos(yaw), 0, 0], [0, 1, 0], [math.sin(yaw), 0, 1]])
    about_x = np.array([[1, 0, 0], [0, math.cos(pitch), 0], [0, math.sin(pitch), 1]])
    turned = (head @ about_y.T @ about_x.T).astype(np.float32)
    found = pose.turn_deg(turned[:, :2], turned[:, 2])
    assert found == pytest.approx((yaw_deg, pitch_deg), abs=0.1)


def test_yaw_does_not_depend_on_the_side(models: Models) -> None:
    assert raw(models, "head_yaw", PORTRAIT[:, ::-1]) == pytest.approx(
        raw(models, "head_yaw", PORTRAIT), abs=2
    )


def test_gaze_is_the_offset_of_the_irises_in_half_eye_widths() -> None:
    points = np.zeros((478, 2), np.float32)
    points[[33, 133, 362, 263]] = [(0, 0), (20, 0), (60, 0), (80, 0)]
    points[[468, 473]] = [(10, 3), (70, 3)]
    assert pose.gaze_offset(points) == pytest.approx(0)
    points[[468, 473], 0] += 5
    assert pose.gaze_offset(points) == pytest.approx(0.5)


def test_lip_gap_is_in_units_of_the_face() -> None:
    points = np.zeros((478, 2), np.float32)
    points[14] = (0, 12)
    assert pose.lip_gap(points, 100) == pytest.approx(0.12)


@pytest.mark.parametrize(("name", "cut"), [("margin_left", np.s_[:, 40:]), ("margin_right", np.s_[:, :-40])])
def test_a_side_margin_shrinks_by_what_was_cut(models: Models, name: str, cut: tuple[slice, slice]) -> None:
    mesh_px = float(take(models, name, PORTRAIT).evidence["inter_eye_px"])
    lost = raw(models, name, PORTRAIT) - raw(models, name, PORTRAIT[cut])
    assert lost == pytest.approx(40 / mesh_px, rel=0.1)


def test_margins_above_and_below_share_the_height(models: Models) -> None:
    above, below = (raw(models, name, PORTRAIT) for name in ("margin_above", "margin_below"))
    assert raw(models, "margin_above", PORTRAIT[30:]) < above - 0.2
    assert raw(models, "margin_below", PORTRAIT[:-100]) < below - 0.5
    chin_px = (0.45 - raw(models, "head_size", PORTRAIT)) * 512
    assert above + below == pytest.approx(512 / chin_px, rel=0.02)


def test_inter_eye_distance_doubles_with_the_picture(models: Models) -> None:
    double = pixels(cv2.resize(PORTRAIT, (1024, 1024), interpolation=cv2.INTER_CUBIC))
    once = raw(models, "inter_eye_distance", PORTRAIT)
    assert raw(models, "inter_eye_distance", double) == pytest.approx(2 * once, rel=0.05)


def test_covered_eyes_are_seen_and_open_ones_are_not_covered(models: Models) -> None:
    assert raw(models, "face_occlusion", PORTRAIT) > 2
    assert raw(models, "face_occlusion", exposed(PORTRAIT, -2)) > 2
    assert raw(models, "face_occlusion", covered_eyes(PORTRAIT)) < 1


def test_background_is_even_where_it_was_painted_even(models: Models) -> None:
    matte = cv2.resize(models.matte.of(PORTRAIT[:, :, ::-1].copy()), (512, 512))[:, :, None]
    painted = (PORTRAIT * matte + np.array([150, 150, 150]) * (1 - matte)).astype(np.uint8)
    assert raw(models, "background_uniformity", PORTRAIT) > 30
    assert raw(models, "background_uniformity", painted) < 3


def test_expression_and_mouth_and_gaze_are_taken_of_a_real_face(models: Models) -> None:
    assert 0.5 < raw(models, "expression_neutral", PORTRAIT) < 4
    assert raw(models, "mouth_closed", PORTRAIT) < 0.2
    assert raw(models, "gaze", PORTRAIT) < 0.2


def test_clothed_people_animals_and_things_are_not_nudity(models: Models) -> None:
    for picture in (PORTRAIT, photograph("chelsea.png"), photograph("coffee.png"), photograph("rocket.jpg")):
        assert raw(models, "nsfw", picture) < 0.1

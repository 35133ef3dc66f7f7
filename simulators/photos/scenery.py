"""Backgrounds for the composited subjects: lit studio walls, bokeh, and photographs out of focus."""

from __future__ import annotations

import colorsys
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from simulators.photos.assets import Picture, photograph

_SKETCH_PX: Final = 96
_BLURRED: Final = ("china", "flower", "rocket", "grass", "brick", "motorcycle")
_CLUTTERED: Final = ("motorcycle", "gravel", "grass", "brick")

Field = npt.NDArray[np.float32]


def studio_wall(rng: np.random.Generator, size: tuple[int, int], *, plain: bool) -> Picture:
    """Return a smooth, lit wall of ``size`` (width, height); ``plain`` keeps it even enough for a product."""
    x, y = _grid()
    kind = rng.choice(["sweep", "spot", "horizon"] if not plain else ["sweep", "spot"])
    angle = rng.uniform(0, 2 * np.pi)
    along = x * np.cos(angle) + y * np.sin(angle)
    if kind == "sweep":
        light = along
    elif kind == "spot":
        centre_x, centre_y = rng.uniform(-0.9, 0.9, 2)
        light = 1.2 - np.hypot(x - centre_x, y - centre_y) * 1.4
    else:
        light = np.tanh((along - rng.uniform(-0.5, 0.5)) * 6)
    if plain:
        middle, depth = rng.uniform(85, 205), rng.uniform(14, 34)
    else:
        middle, depth = rng.uniform(75, 190), rng.uniform(20, 55)
    return _coloured(rng, middle + depth * light.astype(np.float32), size)


def bokeh(rng: np.random.Generator, size: tuple[int, int]) -> Picture:
    """Return lights out of focus: soft discs over a dim or a bright room."""
    x, y = _grid()
    field = np.full_like(x, rng.uniform(60, 150))
    for _ in range(int(rng.integers(5, 14))):
        centre_x, centre_y = rng.uniform(-1, 1, 2)
        radius, power = rng.uniform(0.12, 0.45), rng.uniform(-45, 75)
        field += power / (1 + np.exp((np.hypot(x - centre_x, y - centre_y) - radius) * 14))
    return _coloured(rng, np.clip(field, 35, 225).astype(np.float32), size)


def out_of_focus(rng: np.random.Generator, size: tuple[int, int]) -> Picture:
    """Return a real photograph far out of focus, as behind a portrait lens."""
    piece = _piece(rng, str(rng.choice(_BLURRED)), _SKETCH_PX, size)
    soft = cv2.GaussianBlur(piece, (0, 0), rng.uniform(2.5, 5.0))
    middle = float(soft.mean())
    wanted = float(rng.uniform(80, 175))
    lit = np.clip((soft.astype(np.float32) - middle) * rng.uniform(0.7, 1.1) + wanted, 25, 230)
    return np.asarray(cv2.resize(lit.astype(np.uint8), size, interpolation=cv2.INTER_CUBIC), np.uint8)


def cluttered(rng: np.random.Generator, size: tuple[int, int]) -> Picture:
    """Return a sharp, busy photograph: what must not be behind an isolated product."""
    return scene(rng, str(rng.choice(_CLUTTERED)), size)


def scene(rng: np.random.Generator, name: str, size: tuple[int, int]) -> Picture:
    """Return a sharp crop of a base photograph, enlarged to ``size`` (width, height)."""
    piece = _piece(rng, name, max(size), size)
    for sigma, amount in ((2.4, 1.1), (1.1, 1.3)):
        soft = cv2.GaussianBlur(piece, (0, 0), sigma)
        piece = np.asarray(cv2.addWeighted(piece, 1 + amount, soft, -amount, 0), np.uint8)
    return piece


def _piece(rng: np.random.Generator, name: str, longest_px: int, size: tuple[int, int]) -> Picture:
    picture = photograph(name)
    height, width = picture.shape[:2]
    ratio = size[0] / size[1]
    share = rng.uniform(0.75, 1.0)
    crop_width = min(width, height * ratio) * share
    crop_height = crop_width / ratio
    left = int(rng.uniform(0, width - crop_width))
    top = int(rng.uniform(0, height - crop_height))
    crop = picture[top : top + int(crop_height), left : left + int(crop_width)]
    if rng.random() < 0.5:
        crop = crop[:, ::-1]
    scale = longest_px / max(size)
    target = (max(1, round(size[0] * scale)), max(1, round(size[1] * scale)))
    return cv2.resize(crop, target, interpolation=cv2.INTER_CUBIC).astype(np.uint8, copy=False)


def _coloured(rng: np.random.Generator, field: Field, size: tuple[int, int]) -> Picture:
    red, green, blue = colorsys.hsv_to_rgb(float(rng.random()), float(rng.uniform(0.0, 0.3)), 1.0)
    tint = np.array([blue, green, red], np.float32)
    tint /= tint.mean()
    small = np.clip(field[..., None] * tint, 20, 240).astype(np.uint8)
    return np.asarray(cv2.resize(small, size, interpolation=cv2.INTER_CUBIC), np.uint8)


def _grid() -> tuple[Field, Field]:
    axis = np.linspace(-1, 1, _SKETCH_PX, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    return x, y

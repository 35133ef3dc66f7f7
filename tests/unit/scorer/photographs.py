"""Real photographs out of installed packages, and the degradations the expectations were measured with."""

from __future__ import annotations

import importlib.util
import io
import struct
import zlib
from functools import cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from tests.support.opencv import BGR, decoded, pixels


def package_file(package: str, relative: str) -> bytes:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return (Path(spec.origin).parent / relative).read_bytes()


@cache
def photograph(name: str) -> BGR:
    package, folder = (
        ("sklearn", "datasets/images") if name in {"china.jpg", "flower.jpg"} else ("skimage", "data")
    )
    content = package_file(package, f"{folder}/{name}")
    picture = decoded(content)
    picture.setflags(write=False)
    return picture


def portrait() -> BGR:
    return photograph("astronaut.png")


def png(picture: BGR) -> bytes:
    return cv2.imencode(".png", picture)[1].tobytes()


def jpeg(picture: BGR, quality: int) -> bytes:
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def blurred(picture: BGR, sigma: float) -> BGR:
    return pixels(cv2.GaussianBlur(picture, (0, 0), sigma))


def moved(picture: BGR, length_px: int) -> BGR:
    kernel = np.zeros((length_px, length_px), np.float32)
    kernel[length_px // 2] = 1 / length_px
    return pixels(cv2.filter2D(picture, -1, kernel, borderType=cv2.BORDER_REFLECT))


def noisy(picture: BGR, sigma: float) -> BGR:
    grain = np.random.default_rng(1).normal(0, sigma, picture.shape)
    return np.clip(picture + grain, 0, 255).astype(np.uint8)


def upscaled(picture: BGR, factor: int) -> BGR:
    height, width = picture.shape[:2]
    small = cv2.resize(picture, (width // factor, height // factor), interpolation=cv2.INTER_AREA)
    return pixels(cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC))


def exposed(picture: BGR, stops: float) -> BGR:
    linear = (picture / 255.0) ** 2.2 * 2.0**stops
    return (np.clip(linear, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8)


def reshaped(picture: BGR) -> BGR:
    """Pull the face of the portrait out of its proportions: as far from it as another person's, still a face."""
    across, down, radius, strength = 224, 140, 90, 0.8
    y, x = np.mgrid[0 : picture.shape[0], 0 : picture.shape[1]].astype(np.float32)
    dx, dy = x - across, y - down
    near = np.maximum(0, 1 - np.hypot(dx, dy) / radius)
    scale = (1 - strength * near**2).astype(np.float32)
    return pixels(cv2.remap(picture, across + dx * scale, down + dy * scale, cv2.INTER_CUBIC))


def pillow(picture: BGR, form: str, mode: str = "RGB", **options: object) -> bytes:
    image = Image.fromarray(np.ascontiguousarray(picture[:, :, ::-1])).convert(mode)
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def png_bomb(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(bytes(1000))), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)

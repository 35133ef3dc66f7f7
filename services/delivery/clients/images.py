"""Finishes images with Pillow, in threads of its own: drop all metadata, encode again where that is needed, shrink.

Pillow frees the interpreter lock while it decodes, converts and encodes, so threads use every core.
"""

from __future__ import annotations

import asyncio
import io
import struct
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from PIL import Image, ImageCms

from services.delivery.domain.images import ContentDiffers, FinishedImage, Picture, is_intact
from winnow.contracts.errors import ErrorCode, Refused
from winnow.contracts.values import StoredObject
from winnow.pictures import jpeg, png
from winnow.pictures.structure import BadStructure

JPEG_QUALITY: Final = 95
THUMBNAIL_QUALITY: Final = 80
THUMBNAIL_METHOD: Final = 2
"""Effort of the WebP encoder. Measured at 256 px: 3 % more bytes than method 4 for half of the time (ADR-0044)."""
PNG_LEVEL: Final = 4
"""Measured on a 1024 x 1024 photograph: 1 % more bytes than level 6 for less than a third of the time."""

_FORMATS: Final = ("JPEG", "PNG", "WEBP")
_SRGB: Final = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
_ORIENTATION: Final = 0x0112
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""Turn that undoes each orientation. Source: EXIF 2.32, tag Orientation."""
_DAMAGE: Final = (OSError, ValueError, SyntaxError, EOFError, struct.error)
"""Errors that Pillow raises for files that it cannot read."""


class ImageFinisher:
    """Turns a candidate's bytes into the files to deliver; the same bytes always give the same files."""

    def __init__(self, *, threads: int, pixels_max: int, thumbnail_px: int) -> None:
        """Bound the work: ``threads`` images at once, ``pixels_max`` pixels each."""
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="finish")
        self._pixels_max = pixels_max
        self._thumbnail_px = thumbnail_px

    async def finish(self, content: bytes, stored: StoredObject) -> FinishedImage:
        """Check that the bytes are what was stored, and finish them, all in one thread.

        Raises ContentDiffers, or Refused (image_not_decodable, image_too_large).
        """
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._finish, content, stored)

    def _finish(self, content: bytes, stored: StoredObject) -> FinishedImage:
        if not is_intact(content, stored):
            raise ContentDiffers("the bytes are not what was stored")
        return finish_image(content, self._pixels_max, self._thumbnail_px)

    def close(self) -> None:
        """Stop the threads; what runs is let go."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def finish_image(content: bytes, pixels_max: int, thumbnail_px: int) -> FinishedImage:
    """Finish one image, blocking. Raises Refused (image_not_decodable, image_too_large).

    A JPEG whose metadata does not decide how it looks keeps its encoded pixels (ADR-0044). Any other photograph becomes
    a JPEG of quality 95 with full chroma, and what is lossless or has transparency a PNG with the same pixels. EXIF
    orientation is applied and an ICC profile converted to sRGB first, so that the picture looks the same without them.
    """
    with warnings.catch_warnings():
        # Pillow warns of metadata that it reads past, and of sizes, which are checked here. Damage is raised.
        warnings.simplefilter("ignore")
        try:
            return _finished(content, pixels_max, thumbnail_px)
        except _DAMAGE as error:
            try:
                # The scorer reads past broken metadata.
                return _finished(_pixels_of(content), pixels_max, thumbnail_px)
            except _DAMAGE:
                raise Refused(ErrorCode.image_not_decodable, "The image does not decode.") from error


def _finished(content: bytes, pixels_max: int, thumbnail_px: int) -> FinishedImage:
    """Finish one image; raises Refused, or what Pillow raises for damage."""
    image = _open(content, pixels_max)
    if image.format == "JPEG" and _orientation(image) not in _TURNS:
        same_pixels = jpeg.without_metadata(content)
        if same_pixels is not None:
            output = Picture.of(same_pixels, "image/jpeg", width=image.width, height=image.height)
            # The decoder itself makes it small, and reads all of it: a file that is cut short is found.
            image.thumbnail((thumbnail_px, thumbnail_px), Image.Resampling.LANCZOS, reducing_gap=1.0)
            image.load()
            return FinishedImage(output, _encode_thumbnail(image))
    image.load()
    picture = _plain(image)
    output = _encode(picture, lossless=image.format == "PNG" or picture.mode != "RGB")
    picture.thumbnail((thumbnail_px, thumbnail_px), Image.Resampling.LANCZOS)
    return FinishedImage(output, _encode_thumbnail(picture))


def _pixels_of(content: bytes) -> bytes:
    """Return a file without the metadata that may be broken; raises BadStructure."""
    if content.startswith(jpeg.SIGNATURE):
        return jpeg.without_applications(content)
    if content.startswith(png.SIGNATURE):
        return png.without_ancillary(content)
    raise BadStructure("unknown_format")


def _open(content: bytes, pixels_max: int) -> Image.Image:
    """Open an image, not decoded yet; raises Refused, or what Pillow raises for damage."""
    try:
        image = Image.open(io.BytesIO(content), formats=_FORMATS)
    except Image.DecompressionBombError:
        raise Refused(ErrorCode.image_too_large, "The image has too many pixels.") from None
    if image.width * image.height > pixels_max:
        raise Refused(ErrorCode.image_too_large, "The image has too many pixels.")
    if getattr(image, "n_frames", 1) > 1:
        raise Refused(ErrorCode.image_not_decodable, "The image is an animation.")
    return image


def _orientation(image: Image.Image) -> int:
    """Return the orientation by EXIF; 1, upright, where that is broken."""
    try:
        orientation = image.getexif().get(_ORIENTATION, 1)
    except (*_DAMAGE, KeyError, TypeError, AttributeError):
        return 1
    return orientation if isinstance(orientation, int) else 1


def _plain(image: Image.Image) -> Image.Image:
    """Return the pixels alone, upright and in sRGB, as RGB or RGBA."""
    profile = image.info.get("icc_profile")
    turn = _TURNS.get(_orientation(image))
    upright = image if turn is None else image.transpose(turn)
    mode = "RGBA" if upright.has_transparency_data else "RGB"
    converted = _to_srgb(upright, profile, mode) if profile else None
    picture = converted or upright.convert(mode)
    clean = Image.new(picture.mode, picture.size)
    clean.paste(picture)
    return clean


def _to_srgb(image: Image.Image, profile: bytes, mode: str) -> Image.Image | None:
    """Convert by the embedded profile; None when the profile is broken or does not fit, which is then ignored."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if image.mode not in {"RGB", "RGBA", "CMYK", "L"}:
            image = image.convert(mode)
        alpha = image.getchannel("A") if image.mode == "RGBA" else None
        colours = image.convert("RGB") if image.mode == "RGBA" else image
        converted = ImageCms.profileToProfile(colours, source, _SRGB, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return None
    if converted is not None and alpha is not None:
        converted.putalpha(alpha)
    return converted


def _encode(image: Image.Image, *, lossless: bool) -> Picture:
    buffer = io.BytesIO()
    if lossless:
        image.save(buffer, "PNG", compress_level=PNG_LEVEL)
    else:
        image.save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    content_type = "image/png" if lossless else "image/jpeg"
    return Picture.of(buffer.getvalue(), content_type, width=image.width, height=image.height)


def _encode_thumbnail(image: Image.Image) -> Picture:
    buffer = io.BytesIO()
    pixels = Image.new(image.mode, image.size)
    pixels.paste(image)
    pixels.save(buffer, "WEBP", quality=THUMBNAIL_QUALITY, method=THUMBNAIL_METHOD)
    return Picture.of(buffer.getvalue(), "image/webp", width=image.width, height=image.height)

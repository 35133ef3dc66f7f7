"""Picture files in every form that is accepted, and parts to spoil them with."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Mapping
from functools import cache

import numpy as np
from PIL import Image, ImageCms, PngImagePlugin

EXIF_DESCRIPTION = 0x010E
EXIF_ORIENTATION = 0x0112
EXIF_POSITION = 0x8825

JPEG_OPTIONS: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "plain": ("RGB", {}),
    "coarse": ("RGB", {"quality": 20}),
    "fine": ("RGB", {"quality": 98, "subsampling": 0}),
    "half chroma": ("RGB", {"subsampling": 1}),
    "progressive": ("RGB", {"progressive": True}),
    "own tables": ("RGB", {"optimize": True}),
    "restarts by row": ("RGB", {"restart_marker_rows": 1}),
    "restarts by block": ("RGB", {"restart_marker_blocks": 3}),
    "progressive with restarts": ("RGB", {"progressive": True, "restart_marker_blocks": 2}),
    "grey": ("L", {}),
    "four inks": ("CMYK", {}),
    "stored as red, green, blue": ("RGB", {"keep_rgb": True}),
}
PNG_OPTIONS: Mapping[str, tuple[str, Mapping[str, object]]] = {
    **{mode: (mode, {}) for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")},
    "palette with a hole": ("P", {"transparency": 3}),
    "uncompressed": ("RGB", {"compress_level": 0}),
}
WEBP_OPTIONS: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "lossy": ("RGB", {"quality": 60}),
    "lossy with alpha": ("RGBA", {"quality": 60}),
    "lossless": ("RGB", {"lossless": True}),
    "lossless with alpha": ("RGBA", {"lossless": True}),
}
FORMS = {
    **{("JPEG", name): options for name, options in JPEG_OPTIONS.items()},
    **{("PNG", name): options for name, options in PNG_OPTIONS.items()},
    **{("WEBP", name): options for name, options in WEBP_OPTIONS.items()},
}


def drawing(mode: str, width: int, height: int) -> Image.Image:
    """Return a drawing with slopes and grain."""
    grain = np.random.default_rng(width * 1000 + height).integers(0, 40, (height, width, 3))
    slopes = np.add.outer(np.arange(height) * 3, np.arange(width) * 2)[..., None] % 200
    picture = Image.fromarray((slopes + grain).astype(np.uint8))
    if mode == "I;16":
        return Image.fromarray(np.asarray(picture.convert("L")).astype(np.uint16) * 200)
    if mode in {"RGBA", "LA"}:
        picture.putalpha(picture.getchannel("R"))
    return picture.convert(mode)


@cache
def file_of(kind: str, name: str, width: int = 48, height: int = 32) -> bytes:
    """Return a file of a form."""
    mode, options = FORMS[kind, name]
    return saved(drawing(mode, width, height), kind, **options)


def saved(picture: Image.Image, kind: str, **options: object) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def metadata(kind: str, orientation: int = 1, *, profile: bool = False) -> dict[str, object]:
    """Return options that write metadata of every kind that the encoder knows; each holds the word "secret"."""
    exif = Image.Exif()
    exif[EXIF_DESCRIPTION] = "secret description"
    exif[EXIF_ORIENTATION] = orientation
    exif.get_ifd(EXIF_POSITION)[1] = "N"
    options: dict[str, object] = {"exif": exif}
    if profile:
        options["icc_profile"] = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    if kind == "JPEG":
        options |= {"comment": b"secret comment", "xmp": b"<x:xmpmeta>secret</x:xmpmeta>", "dpi": (301, 299)}
    if kind == "WEBP":
        options["xmp"] = b"<x:xmpmeta>secret</x:xmpmeta>"
    if kind == "PNG":
        text = PngImagePlugin.PngInfo()
        text.add_text("prompt", "secret prompt")
        text.add_text("more", "secret" * 50, zip=True)
        text.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta>secret</x:xmpmeta>")
        options["pnginfo"] = text
    return options


def animated(kind: str, frames: int = 3) -> bytes:
    pictures = [Image.new("RGB", (16, 16), (number * 20, 0, 0)) for number in range(frames)]
    return saved(pictures[0], kind, save_all=True, append_images=pictures[1:], duration=20)


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def with_png_chunk(content: bytes, kind: bytes, body: bytes) -> bytes:
    """Put a chunk behind the header of a PNG."""
    return content[:33] + png_chunk(kind, body) + content[33:]


def with_jpeg_segment(content: bytes, marker: int, body: bytes) -> bytes:
    """Put a segment at the start of a JPEG."""
    return content[:2] + struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body + content[2:]


def png_of_size(width: int, height: int) -> bytes:
    """Return a small file whose header promises so many pixels."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(bytes(100))
    chunks = [(b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(png_chunk(kind, body) for kind, body in chunks)


def jpeg_of_size(content: bytes, width: int, height: int) -> bytes:
    """Return a JPEG whose frame promises another size."""
    at = content.index(b"\xff\xc0")
    return content[: at + 5] + struct.pack(">HH", height, width) + content[at + 9 :]

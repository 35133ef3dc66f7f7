"""Reads the structure of a JPEG, PNG or WebP file without decoding a pixel."""

from __future__ import annotations

from winnow.pictures import jpeg, png, webp
from winnow.pictures.structure import BadStructure, Structure


def read_structure(content: bytes) -> Structure:
    """Return what the structure says; raises BadStructure.

    Refused are other formats, broken headers, moving pictures, bytes behind the end and metadata that inflates
    without end. A file that is cut behind its header is told by ``is_whole``.
    """
    if content.startswith(jpeg.SIGNATURE):
        return jpeg.read(content)
    if content.startswith(png.SIGNATURE):
        return png.read(content)
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return webp.read(content)
    raise BadStructure("unknown_format")

"""Fuzzes what reads untrusted pictures: any bytes become an upright opaque picture, or NotDecodable; nothing else.

Any bytes have a structure, or BadStructure. Where both take a file, they agree on its format and size.

Run as ``python -m tests.fuzz.decoder SECONDS``. The corpus is made anew from small pictures in every accepted form; libFuzzer
ends the process with an error on any other exception, a crash, more than 2 GiB of memory or more than ten seconds.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["services.scorer.vision.decode", "winnow.pictures"]):
    from services.scorer.vision.decode import PIXELS_MAX, NotDecodable, decode
    from winnow.pictures.jpeg import without_metadata
    from winnow.pictures.reader import read_structure
    from winnow.pictures.structure import BadStructure, Structure

import numpy as np
from PIL import Image

FORMS: dict[str, tuple[str, str, dict[str, object]]] = {
    "grey.png": ("L", "PNG", {}),
    "palette.png": ("P", "PNG", {"transparency": 3}),
    "alpha.png": ("RGBA", "PNG", {}),
    "deep.png": ("I;16", "PNG", {}),
    "plain.jpg": ("RGB", "JPEG", {}),
    "progressive.jpg": ("RGB", "JPEG", {"progressive": True}),
    "inks.jpg": ("CMYK", "JPEG", {}),
    "lossy.webp": ("RGB", "WEBP", {"quality": 60}),
    "lossless.webp": ("RGBA", "WEBP", {"lossless": True}),
}


def write_corpus(folder: Path) -> None:
    """Write a small picture in every form."""
    ramp = Image.fromarray(np.add.outer(np.arange(24) * 5, np.arange(16) * 7).astype(np.uint8))
    for name, (mode, form, options) in FORMS.items():
        picture = (
            Image.fromarray(np.asarray(ramp).astype(np.uint16) * 200)
            if mode == "I;16"
            else ramp.convert(mode)
        )
        stream = io.BytesIO()
        picture.save(stream, form, **options)
        (folder / name).write_bytes(stream.getvalue())


def try_one(content: bytes) -> None:
    """Read the structure, and decode both ways."""
    structure = structure_of(content)
    for luminance_only in (False, True):
        try:
            picture = decode(content, luminance_only=luminance_only)
            rgb = picture.rgb
        except NotDecodable as refusal:
            assert refusal.reason
            continue
        assert rgb.dtype == picture.grey.dtype == np.uint8
        assert rgb.shape == (picture.height, picture.width, 3)
        assert picture.grey.size <= PIXELS_MAX
        if structure is not None:
            assert structure.content_type == picture.content_type
            assert {structure.width, structure.height} == {picture.width, picture.height}


def structure_of(content: bytes) -> Structure | None:
    """Read the structure; what a JPEG is without its metadata has the same."""
    try:
        structure = read_structure(content)
    except BadStructure as refusal:
        assert refusal.reason
        return None
    plain = without_metadata(content)
    if plain is not None:
        assert read_structure(plain) == structure
    return structure


def main() -> None:
    """Fuzz for the seconds given."""
    seconds = int(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        write_corpus(Path(folder))
        limits = [f"-max_total_time={seconds}", "-rss_limit_mb=2048", "-timeout=10", "-max_len=8192"]
        findings = f"-artifact_prefix={Path('build')}/"
        atheris.Setup(["decoder", folder, *limits, findings, "-print_final_stats=1", "-verbosity=1"], try_one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()

"""The palm detector out of Google's hand landmarker bundle, which is an archive of two networks."""

from __future__ import annotations

import io
import zipfile

_MEMBER = "hand_detector.tflite"


def convert(content: bytes) -> bytes:
    """Give the network; raises ValueError for another file."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as bundle:
            return bundle.read(_MEMBER)
    except (zipfile.BadZipFile, KeyError) as error:
        msg = "this is no hand landmarker bundle"
        raise ValueError(msg) from error

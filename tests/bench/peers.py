"""Times brisque and imagehash; run by the interpreter of build/bench-venv, whose packages the project does not have.

Reads lines from standard input: first the folder of the pictures, then names of peers. Answers each name with the CPU seconds
of one pass over the pictures. Imports nothing of the project.
"""

import sys
import time
from pathlib import Path

import cv2
import imagehash
import numpy as np
from brisque import BRISQUE
from PIL import Image

cv2.setNumThreads(1)
_BRISQUE = BRISQUE(url=False)


def brisque(path: Path) -> None:
    """Decode and return the natural-scene score."""
    _BRISQUE.score(np.asarray(Image.open(path).convert("RGB")))


def phash(path: Path) -> None:
    """Decode and return the 64-bit perceptual hash."""
    imagehash.phash(Image.open(path))


PEERS = {"brisque": brisque, "imagehash phash": phash}


def main() -> None:
    """Answer until standard input ends."""
    paths = sorted(Path(sys.stdin.readline().strip()).iterdir())
    for line in sys.stdin:
        peer = PEERS[line.strip()]
        started = time.process_time()
        for path in paths:
            peer(path)
        print(time.process_time() - started, flush=True)


if __name__ == "__main__":
    main()

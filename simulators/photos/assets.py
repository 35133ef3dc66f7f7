"""The real photographs the simulators start from, read out of installed packages.

Nothing is downloaded and nothing is stored in the project: scikit-image ships a public-domain portrait
(NASA) and several CC0 photographs, scikit-learn ships two CC-BY photographs. The packages are located
without being imported, because importing them costs more than everything a simulator does at start.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path
from typing import TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

#: ``(H, W, 3) uint8``, colour order blue, green, red (the order OpenCV encodes).
Picture: TypeAlias = npt.NDArray[np.uint8]
#: ``(H, W) float32`` in 0..1; 1 is fully subject.
Matte: TypeAlias = npt.NDArray[np.float32]

_LOCATIONS: dict[str, tuple[str, str]] = {
    "astronaut": ("skimage", "data/astronaut.png"),
    "brick": ("skimage", "data/brick.png"),
    "chelsea": ("skimage", "data/chelsea.png"),
    "china": ("sklearn", "datasets/images/china.jpg"),
    "coffee": ("skimage", "data/coffee.png"),
    "flower": ("sklearn", "datasets/images/flower.jpg"),
    "grass": ("skimage", "data/grass.png"),
    "gravel": ("skimage", "data/gravel.png"),
    "motorcycle": ("skimage", "data/motorcycle_left.png"),
    "rocket": ("skimage", "data/rocket.jpg"),
}


class PhotographMissingError(RuntimeError):
    """A package that should ship a base photograph does not have it."""


def package_path(package: str, relative: str) -> Path:
    """Return the path of a file inside an installed package, without importing the package.

    Raises:
        PhotographMissingError: the package or the file is not installed.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise PhotographMissingError(f"package {package} is not installed")
    path = Path(spec.origin).parent / relative
    if not path.is_file():
        raise PhotographMissingError(f"{relative} is not in the installed package {package}")
    return path


@cache
def photograph(name: str) -> Picture:
    """Return a base photograph by name, decoded once per process.

    Raises:
        PhotographMissingError: it is not installed or cannot be decoded.
        KeyError: no base photograph has this name.
    """
    package, relative = _LOCATIONS[name]
    picture = cv2.imread(str(package_path(package, relative)), cv2.IMREAD_COLOR)
    if picture is None:
        raise PhotographMissingError(f"{relative} of package {package} cannot be decoded")
    picture.setflags(write=False)
    return picture.astype(np.uint8, copy=False)

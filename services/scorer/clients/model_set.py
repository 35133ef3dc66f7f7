"""The models of a scoring process: each loaded once, when first asked for, or missing with a remedy in words."""

from __future__ import annotations

from functools import cached_property
from typing import Final

from services.scorer.clients.faces import FaceLandmarker
from services.scorer.clients.models import ModelMissing, load_face_models

FACE_LANDMARKER: Final = "face_landmarker"


class Models:
    """The models of this process; not safe for threads. ``without`` names models to treat as missing."""

    def __init__(self, *, without: frozenset[str] = frozenset()) -> None:
        """Load nothing yet."""
        self._lacking = dict.fromkeys(without, "it was left out on purpose")

    def lacks(self, name: str) -> str | None:
        """Tell how a missing model is got, in one sentence; None when it is here and loads."""
        if name not in self._lacking and name == FACE_LANDMARKER:
            try:
                _ = self.landmarker
            except ModelMissing as error:
                self._lacking[name] = f"{error}; install the pinned packages of the scorer"
        return self._lacking.get(name)

    @cached_property
    def landmarker(self) -> FaceLandmarker:
        """Give the face landmarker; raises ModelMissing."""
        return FaceLandmarker(load_face_models())

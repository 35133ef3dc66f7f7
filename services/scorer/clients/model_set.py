"""The models of a scoring process: each loaded once, when first asked for, or missing with a remedy in words."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Final

from services.scorer.clients.faces import FaceLandmarker
from services.scorer.clients.manifest import BUILT, ModelEntry, read_manifest, read_model, remedy
from services.scorer.clients.matte import PortraitMatte
from services.scorer.clients.models import ModelMissing, load_face_models
from services.scorer.clients.network import Network

FACE_LANDMARKER: Final = "face_landmarker"
PORTRAIT_MATTE: Final = "portrait_matte"
IDENTITY: Final = "identity"
NSFW: Final = "nsfw"
TEXT_DETECTOR: Final = "text_detector"
TEXT_READER: Final = "text_reader"
SALIENCY: Final = "saliency"


class Models:
    """The models of this process; not safe for threads. ``without`` names models to treat as missing."""

    def __init__(self, directory: Path = BUILT, *, without: frozenset[str] = frozenset()) -> None:
        """Read the manifest and load nothing yet; raises ManifestInvalid."""
        self._directory = directory
        self._entries = read_manifest(directory)
        self._lacking: dict[str, str | None] = {name: f"{name} was left out on purpose" for name in without}
        self._networks: dict[str, Network] = {}

    def lacks(self, name: str) -> str | None:
        """Tell how a missing model is got, in one sentence; None when it is here and loads."""
        if name not in self._lacking:
            try:
                self._load(name)
            except ModelMissing as error:
                self._lacking[name] = str(error)
            else:
                self._lacking[name] = None
        return self._lacking[name]

    def network(self, name: str) -> Network:
        """Give an ONNX network; raises ModelMissing."""
        if name not in self._networks:
            entry = self._entry(name)
            self._networks[name] = Network(name, read_model(self._directory, entry), entry.input)
        return self._networks[name]

    @cached_property
    def landmarker(self) -> FaceLandmarker:
        """Give the face landmarker; raises ModelMissing."""
        return FaceLandmarker(load_face_models())

    @cached_property
    def matte(self) -> PortraitMatte:
        """Give the portrait matte; raises ModelMissing."""
        return PortraitMatte(read_model(self._directory, self._entry(PORTRAIT_MATTE)))

    def _load(self, name: str) -> None:
        if name == FACE_LANDMARKER:
            _ = self.landmarker
        elif name == PORTRAIT_MATTE:
            _ = self.matte
        else:
            self.network(name)

    def _entry(self, name: str) -> ModelEntry:
        if name not in self._entries:
            raise ModelMissing(remedy(name))
        return self._entries[name]

"""The models of a scoring process: each loaded once, when first asked for, or missing with a remedy in words."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.scorer.inference.device_protocol import DeviceRefused
from services.scorer.inference.manifest import BUILT, TOWERS, ModelEntry, read_manifest, read_model, remedy
from services.scorer.inference.models import ModelMissing, load_face_models
from services.scorer.inference.network import Network, load_network
from services.scorer.vision.faces import FaceLandmarker
from services.scorer.vision.frame import ClassicFrame, Frame, TensorFrame, fits_tensors
from services.scorer.vision.hands import HandDetector
from services.scorer.vision.labels import Labels, label_names
from services.scorer.vision.matte import PortraitMatte
from services.scorer.vision.tokens import WordPiece, load_tokenizer
from services.scorer.vision.towers import Towers

FACE_LANDMARKER: Final = "face_landmarker"
PORTRAIT_MATTE: Final = "portrait_matte"
PALM_DETECTOR: Final = "palm_detector"
IDENTITY: Final = "identity"
NSFW: Final = "nsfw"
TEXT_DETECTOR: Final = "text_detector"
TEXT_READER: Final = "text_reader"
TIER_ONE: Final = "tier_one"
SALIENCY: Final = "saliency"
LABELS: Final = "labels"
IMAGE_LABELS: Final = "image_labels"

Load = Callable[[Path, ModelEntry], Network]
"""Loads a network of a directory; raises ModelMissing."""

_NO_TOWERS: Final = (
    "no image and text towers are mounted; put their ONNX files and a manifest.yaml with the roles image_tower and"
    " text_tower into the directory named by WINNOW_SCORER_MOUNTED_MODELS_DIR"
)


def load_here(directory: Path, entry: ModelEntry) -> Network:
    """Load a network into this process; raises ModelMissing."""
    return load_network(entry.name, read_model(directory, entry), entry.input)


class Models:
    """The models of this process; not safe for threads.

    ``without`` names models to treat as missing, ``load`` says where ONNX networks run. With ``frames_as_tensors`` the
    measures of whole frames run there too, as far as the picture's size allows and their graph was built.
    """

    def __init__(
        self,
        directory: Path = BUILT,
        mounted: Path | None = None,
        *,
        without: frozenset[str] = frozenset(),
        load: Load = load_here,
        frames_as_tensors: bool = False,
    ) -> None:
        """Read the manifests and load nothing yet; ``mounted`` is an operator's own. Raises ManifestInvalid."""
        self._directory = directory
        self._load_network = load
        self._frames_as_tensors = frames_as_tensors
        self._entries = read_manifest(directory)
        self._mounted = mounted
        self._towers = list(read_manifest(mounted).values()) if mounted is not None else []
        self._lacking: dict[str, str | None] = {name: f"{name} was left out on purpose" for name in without}
        self._networks: dict[str, Network] = {}

    def lacks(self, name: str) -> str | None:
        """Return a sentence on how to get a missing model; None when it is here and loads."""
        if name not in self._lacking:
            try:
                self._load(name)
            except ModelMissing as error:
                self._lacking[name] = str(error)
            else:
                self._lacking[name] = None
        return self._lacking[name]

    def network(self, name: str) -> Network:
        """Return an ONNX network; raises ModelMissing."""
        if name not in self._networks:
            entry = self._entry(name)
            self._networks[name] = self._load_network(self._directory, entry)
        return self._networks[name]

    def frame(self, grey: NDArray[np.uint8]) -> Frame:
        """Return what measures a whole frame of ``(H, W) uint8``.

        Both ways agree (`tests/unit/scorer/test_parity.py`).
        """
        if self._frames_as_tensors and fits_tensors(grey) and not self.lacks(TIER_ONE):
            # What the device refuses (a size that its memory does not hold) is measured here: the values are the same.
            with contextlib.suppress(DeviceRefused):
                return TensorFrame(self.network(TIER_ONE), grey)
        return ClassicFrame(grey)

    @cached_property
    def landmarker(self) -> FaceLandmarker:
        """Return the face landmarker; raises ModelMissing."""
        return FaceLandmarker(load_face_models())

    @cached_property
    def matte(self) -> PortraitMatte:
        """Return the portrait matte; raises ModelMissing."""
        return PortraitMatte(read_model(self._directory, self._entry(PORTRAIT_MATTE)))

    @cached_property
    def hands(self) -> HandDetector:
        """Return the palm detector; raises ModelMissing."""
        return HandDetector(self.network(PALM_DETECTOR))

    @cached_property
    def towers(self) -> Towers:
        """Return the mounted pair of towers with the heads of its space; raises ModelMissing."""
        return load_towers(self._mounted, self._towers, self._load_network)

    @cached_property
    def labels(self) -> Labels:
        """Return the labels with which pictures and prompts are compared coarsely; raises ModelMissing.

        Sentences are read in this process also where pictures go to a device: a prompt is read once.
        """
        text = load_here(self._directory, self._entry("sentence_embedding"))
        names = label_names(self._words("label_numbers"), self._words("label_words"))
        return Labels(self.network(IMAGE_LABELS), text, WordPiece(self._words("word_pieces")), names)

    def _words(self, name: str) -> str:
        return read_model(self._directory, self._entry(name)).decode()

    def _load(self, name: str) -> None:
        if name == FACE_LANDMARKER:
            _ = self.landmarker
        elif name == PORTRAIT_MATTE:
            _ = self.matte
        elif name == PALM_DETECTOR:
            _ = self.hands
        elif name == TOWERS:
            _ = self.towers
        elif name == LABELS:
            _ = self.labels
        else:
            self.network(name)

    def _entry(self, name: str) -> ModelEntry:
        if name not in self._entries:
            raise ModelMissing(remedy(name))
        return self._entries[name]


def load_towers(
    directory: Path | None, entries: list[ModelEntry], load_network_of: Load = load_here
) -> Towers:
    """Load the one pair of towers of a mounted directory; raises ModelMissing with what is wrong."""
    image = next((entry for entry in entries if entry.role == "image_tower"), None)
    text = next((entry for entry in entries if entry.role == "text_tower"), None)
    if directory is None or image is None or text is None:
        raise ModelMissing(_NO_TOWERS)
    if image.space != text.space or text.tokenizer is None or text.tokenizer_file is None:
        raise ModelMissing(
            "the mounted towers are not of one space, or the text tower names no tokenizer and tokenizer_file"
        )
    try:
        tokenizer = load_tokenizer(text.tokenizer, directory / text.tokenizer_file)
    except (OSError, KeyError, ValueError) as error:
        raise ModelMissing(
            f"the tokenizer of the text tower cannot be read: {type(error).__name__}"
        ) from error

    def load(entry: ModelEntry) -> Network:
        return load_network_of(directory, entry)

    heads = [entry for entry in entries if entry.role == "head" and entry.space == image.space]
    return Towers(load(image), load(text), tokenizer, text.tokens, {head.name: load(head) for head in heads})

"""Mounted image and text towers: pictures and prompts in one space, and heads that judge a picture in it."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.scorer.inference.network import Floats, Image, Network
from services.scorer.vision.tokens import Tokenizer

BATCH_MAX: Final = 16
_PROMPTS_KEPT: Final = 256


class Towers:
    """A pair of towers of one space, with its heads by name; not safe for threads."""

    def __init__(
        self,
        image: Network,
        text: Network,
        tokenizer: Tokenizer,
        length: int,
        heads: dict[str, Network],
        *,
        batch_max: int = BATCH_MAX,
    ) -> None:
        """Take loaded networks; ``length`` is the text tower's number of tokens."""
        self._image, self._text, self._tokenizer, self._length = image, text, tokenizer, length
        self._heads = heads
        self._batch_max = batch_max
        self._prompts: OrderedDict[bytes, Floats] = OrderedDict()

    def of_pictures(self, pictures: Sequence[Image]) -> Floats:
        """Embed pictures ``(H, W, 3) uint8 RGB`` as unit vectors ``(n, d)``, in batches of at most ``batch_max``."""
        rows = []
        for start in range(0, len(pictures), self._batch_max):
            batch = pictures[start : start + self._batch_max]
            rows.append(
                self._image.run(np.concatenate([self._image.feed([picture]) for picture in batch]))[0]
            )
        return _unit(np.concatenate(rows))

    def of_prompt(self, prompt: str) -> Floats:
        """Embed a prompt as a unit vector ``(d,)``; the last 256 are kept by hash, never the words."""
        key = hashlib.sha256(prompt.encode()).digest()
        if key not in self._prompts:
            self._prompts[key] = _unit(self._text.run(*self._text_inputs(prompt))[0])[0]
            if len(self._prompts) > _PROMPTS_KEPT:
                self._prompts.popitem(last=False)
        self._prompts.move_to_end(key)
        return self._prompts[key]

    def _text_inputs(self, prompt: str) -> list[NDArray[np.int64]]:
        found = self._tokenizer.ids(prompt, self._length)
        ids = np.full((1, self._length), self._tokenizer.padding, np.int64)
        ids[0, : len(found)] = found
        mask = (np.arange(self._length) < len(found)).astype(np.int64)[None]
        # Beside the numbers some towers want the mask of real ones, some the segment of each: all the first.
        other_inputs = [
            mask if name == "attention_mask" else np.zeros_like(ids) for name in self._text.input_names[1:]
        ]
        return [ids, *other_inputs]

    def head(self, name: str, embedding: Floats) -> float | None:
        """Return what a head says of a picture's embedding; None without that head."""
        head = self._heads.get(name)
        return None if head is None else float(head.run(embedding[None])[0].reshape(-1)[0])


def _unit(vectors: Floats) -> Floats:
    unit: Floats = vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-12)
    return unit

"""Main label of a picture, of a thousand, beside the main noun of a prompt: a coarse comparison.

A picture becomes the mean of its ten likeliest labels' words in a space of sentences, weighted by their probabilities
(ConSE, Norouzi et al. 2014), and is compared there with the prompt. It grasps a subject that is among the labels; it
knows nothing of people, counts, colours, positions and negations.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from services.scorer.inference.network import Floats, Image, Network
from services.scorer.vision.tokens import Tokenizer

_LIKELIEST: Final = 10
_WORDS_MAX: Final = 64
_PROMPTS_KEPT: Final = 256


@dataclass(frozen=True, slots=True)
class PromptLabel:
    """A prompt in the space of sentences, a unit vector, with the label nearest to it and that label's cosine.

    ``mean`` and ``deviation`` are of the cosines to all labels: some prompts are near to everything.
    """

    vector: Floats
    label: str
    cosine: float
    mean: float
    deviation: float


@dataclass(frozen=True, slots=True)
class PictureLabel:
    """A picture in the space of sentences, a unit vector, with its likeliest label and the probability of that."""

    vector: Floats
    label: str
    probability: float


class Labels:
    """The thousand labels with both networks; not safe for threads."""

    def __init__(self, image: Network, text: Network, tokenizer: Tokenizer, names: Sequence[str]) -> None:
        """Embed all names, which takes about a second."""
        self._image, self._text, self._tokenizer = image, text, tokenizer
        self._names = list(names)
        self._vectors = self._embedded(self._names)
        self._prompts: OrderedDict[bytes, PromptLabel] = OrderedDict()

    def asked(self, prompt: str) -> PromptLabel:
        """Place a prompt; the last 256 are kept by hash, never the words."""
        key = hashlib.sha256(prompt.encode()).digest()
        if key not in self._prompts:
            vector = self._embedded([prompt])[0]
            cosines = self._vectors @ vector
            best = int(cosines.argmax())
            self._prompts[key] = PromptLabel(
                vector, self._names[best], float(cosines[best]), float(cosines.mean()), float(cosines.std())
            )
            if len(self._prompts) > _PROMPTS_KEPT:
                self._prompts.popitem(last=False)
        self._prompts.move_to_end(key)
        return self._prompts[key]

    def shown(self, picture: Image) -> PictureLabel:
        """Place a picture, ``(H, W, 3) uint8 RGB``."""
        probabilities = self._image.see(picture)
        likeliest = np.argsort(probabilities)[-_LIKELIEST:]
        mixed = probabilities[likeliest] @ self._vectors[likeliest]
        best = int(likeliest[-1])
        return PictureLabel(mixed / np.linalg.norm(mixed), self._names[best], float(probabilities[best]))

    def _embedded(self, texts: Sequence[str]) -> Floats:
        """Return unit vectors ``(n, d)``: the mean over a text's words. Only texts of one length share a run."""
        by_length: dict[int, list[tuple[int, list[int]]]] = defaultdict(list)
        for index, text in enumerate(texts):
            numbers = self._tokenizer.ids(text, _WORDS_MAX)
            by_length[len(numbers)].append((index, numbers))
        rows: dict[int, Floats] = {}
        for group in by_length.values():
            numbers_of = np.array([numbers for _, numbers in group], np.int64)
            means = self._text.run(*self._inputs(numbers_of))[0].mean(axis=1)
            rows |= {index: mean for (index, _), mean in zip(group, means, strict=True)}
        vectors = np.stack([rows[index] for index in range(len(texts))])
        unit: Floats = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit

    def _inputs(self, numbers: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        inputs = {"input_ids": numbers, "attention_mask": np.ones_like(numbers)}
        return [inputs.get(name, np.zeros_like(numbers)) for name in self._text.input_names]


def label_names(numbers: str, words: str) -> list[str]:
    """Return the first word of each label.

    ``numbers`` names them in order, ``words`` has number, tab, words by line.
    """
    known = dict(line.split("\t", 1) for line in words.splitlines() if "\t" in line)
    return [known[number].split(",")[0].strip() for number in numbers.split()]

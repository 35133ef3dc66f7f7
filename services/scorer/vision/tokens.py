"""Words to numbers for text towers: WordPiece (BERT, MiniLM) and byte-pair encoding (CLIP)."""

from __future__ import annotations

import json
import re
import unicodedata
from itertools import pairwise
from pathlib import Path
from typing import Final, Literal, Protocol

_WORD_LETTERS_MAX: Final = 100
_CLIP_WORD: Final = re.compile(
    r"<\|[a-z]+\|>|'(?:s|t|re|ve|m|ll|d)|[^\W\d_]+|\d|(?:[^\s\w]|_)+", re.IGNORECASE
)


class Tokenizer(Protocol):
    """Tokenizer of a text tower."""

    padding: int

    def ids(self, text: str, length: int) -> list[int]:
        """Return start, text and end, at most ``length`` numbers: a text too long is cut."""
        ...


class WordPiece:
    """Longest-match pieces out of a vocabulary file with one piece per line (lower case, accents dropped)."""

    def __init__(self, vocabulary: str) -> None:
        """Read the vocabulary; raises KeyError without the special pieces."""
        self._ids = {piece: index for index, piece in enumerate(vocabulary.splitlines())}
        self._start, self._end = self._ids["[CLS]"], self._ids["[SEP]"]
        self.padding, self._unknown = self._ids["[PAD]"], self._ids["[UNK]"]

    def ids(self, text: str, length: int) -> list[int]:
        """Return start, text and end."""
        plain = "".join(
            sign for sign in unicodedata.normalize("NFD", text.lower()) if unicodedata.category(sign) != "Mn"
        )
        found = [piece for word in re.findall(r"\w+|[^\w\s]", plain) for piece in self._pieces(word)]
        return [self._start, *found[: length - 2], self._end]

    def _pieces(self, word: str) -> list[int]:
        pieces: list[int] = []
        start = 0
        while start < len(word) <= _WORD_LETTERS_MAX:
            for end in range(len(word), start, -1):
                piece = self._ids.get(("##" if start else "") + word[start:end])
                if piece is not None:
                    pieces.append(piece)
                    start = end
                    break
            else:
                return [self._unknown]
        return pieces or [self._unknown]


class BytePairs:
    """CLIP's byte-pair encoding out of a JSON file ``{"vocab": {piece: id}, "merges": ["a b", ...]}``."""

    def __init__(self, content: str) -> None:
        """Read vocabulary and merges; raises KeyError or ValueError."""
        model = json.loads(content)
        model = model.get("model", model)
        self._ids: dict[str, int] = model["vocab"]
        pairs = [tuple(pair.split(" ")) if isinstance(pair, str) else tuple(pair) for pair in model["merges"]]
        self._rank = {pair: rank for rank, pair in enumerate(pairs)}
        self._letters = _byte_letters()
        self._start, self._end = self._ids["<|startoftext|>"], self._ids["<|endoftext|>"]
        self.padding = self._end

    def ids(self, text: str, length: int) -> list[int]:
        """Return start, text and end."""
        words = _CLIP_WORD.findall(" ".join(text.lower().split()))
        found = [self._ids[piece] for word in words for piece in self._pieces(word) if piece in self._ids]
        return [self._start, *found[: length - 2], self._end]

    def _pieces(self, word: str) -> list[str]:
        pieces = [self._letters[byte] for byte in word.encode()]
        pieces[-1] += "</w>"
        while len(pieces) > 1:
            pairs = list(pairwise(pieces))
            best = min(pairs, key=lambda pair: self._rank.get(pair, len(self._rank)))
            if best not in self._rank:
                break
            at = pairs.index(best)
            pieces[at : at + 2] = ["".join(best)]
        return pieces


def load_tokenizer(kind: Literal["wordpiece", "clip_bpe"], path: Path) -> Tokenizer:
    """Read a tokenizer's file; raises OSError, KeyError or ValueError."""
    content = path.read_text(encoding="utf-8")
    return WordPiece(content) if kind == "wordpiece" else BytePairs(content)


def _byte_letters() -> list[str]:
    """Return a visible letter for each byte: itself where it is one, else one from 256 on (GPT-2's order)."""
    visible = {*range(33, 127), *range(161, 173), *range(174, 256)}
    hidden = iter(range(256, 512))
    return [chr(byte) if byte in visible else chr(next(hidden)) for byte in range(256)]

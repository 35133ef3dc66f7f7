"""The vocabulary of a WordPiece tokenizer out of its JSON file, one piece per line in the order of their numbers."""

from __future__ import annotations

import json


def convert(content: bytes) -> bytes:
    """Return the pieces; raises ValueError for another file."""
    try:
        numbers: dict[str, int] = json.loads(content)["model"]["vocab"]
    except (KeyError, TypeError) as error:
        raise ValueError("this is no WordPiece tokenizer") from error
    pieces = sorted(numbers, key=numbers.__getitem__)
    if sorted(numbers.values()) != list(range(len(pieces))):
        raise ValueError("the numbers of the pieces have gaps")
    return ("\n".join(pieces) + "\n").encode()

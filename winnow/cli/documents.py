"""Documents of the API as commands print them, and ids as commands ask for them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Final, TypeVar

import typer

from winnow.cli.errors import CliError

DocumentT = TypeVar("DocumentT")
_ID: Final = re.compile(r"[A-Za-z0-9_-]+")


def show_document(document: DocumentT, as_text: Callable[[DocumentT], None], *, as_json: bool) -> None:
    """Print a document as JSON when asked for, else as the text that ``as_text`` prints."""
    if as_json:
        typer.echo(json.dumps(document))
    else:
        as_text(document)


def checked_id(value: str, noun: str, listing: str) -> str:
    """Return an id that fits into a path of the API; raises CliError with the command that lists such ids."""
    if _ID.fullmatch(value):
        return value
    sentence = f"{value!r} is no id of {noun}." if value else f"The id of {noun} is empty."
    raise CliError(sentence, hint=f"`{listing}` shows the ids.")

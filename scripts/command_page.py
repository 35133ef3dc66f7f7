"""The page of the command line, written from the commands' own help."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from typer import Context
from typer.core import TyperGroup

from winnow.cli.lazy import load
from winnow.cli.main import SECTIONS

_WIDTH: Final = 100
_HEAD: Final = """# The command line

Generated from the commands' own help (`winnow COMMAND --help`).

A client of the public API takes its address and its key from options, else from `WINNOW_API_URL`, `WINNOW_API_KEY` and
`WINNOW_ADMIN_TOKEN`, else from the file that `winnow up` writes into the data directory (`WINNOW_DATA_DIR`). With `--json` a
command prints one JSON document on standard output, and nothing else there. Failures are sentences on standard error.

| exit status | meaning |
|---|---|
| 0 | done |
| 1 | refused or failed; the sentence says why, and a line below it what to do |
| 2 | the command was not understood; for `winnow audit`, it could not look |
| 3 | `winnow score`: a picture does not pass; `winnow status`: no line runs |
| 130 | ended by Ctrl-C |
"""


def every_command() -> Iterator[tuple[str, list[str], Any]]:
    """Yield each command with the heading that it stands under and the words that call it."""
    for title, entries in SECTIONS.items():
        for name, entry in entries.items():
            command = load(name, entry)
            if isinstance(command, TyperGroup):
                for inner, found in command.commands.items():
                    yield title, [name, inner], found
            else:
                yield title, [name], command


def command_page() -> str:
    """Return the page: every command under its heading, with its help as a terminal of 100 columns shows it."""
    parts, heading = [_HEAD], ""
    for title, words, command in every_command():
        if title != heading:
            parts.append(f"## {title}\n")
            heading = title
        path = " ".join(["winnow", *words])
        context = Context(command, info_name=path, terminal_width=_WIDTH, max_content_width=_WIDTH)
        parts.append(f"### `{path}`\n\n```text\n{command.get_help(context).rstrip()}\n```\n")
    return "\n".join(parts)

"""The consoles that tables, live screens and progress are drawn on."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

from winnow.cli.terminal import harmless

_WIDTH_OF_FILES: Final = 200
"""Columns where no terminal says how wide it is: an id is never broken into two lines of a file or a pipe."""


def _width() -> int | None:
    return None if sys.stdout.isatty() or "COLUMNS" in os.environ else _WIDTH_OF_FILES


class _Console(Console):
    """A console whose text holds no controls; those of its own, for the cursor and colours, are no text."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterator[Segment]:
        """Yield the segments with the controls of their text written out."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else harmless(text), style, control)


out: Final = _Console(highlight=False, width=_width())
err: Final = _Console(stderr=True, highlight=False)


def print_list(columns: Sequence[str], rows: Iterable[Sequence[str]], *, title: str | None = None) -> None:
    """Print a table without lines; its first column is never broken, so that its ids can be copied.

    Brackets in a user's own words are no markup; controls are written out before the columns are measured.
    """
    table = Table(title=title, title_justify="left", box=None, pad_edge=False, header_style="bold")
    table.add_column(columns[0], no_wrap=True)
    for column in columns[1:]:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(harmless(cell)) for cell in row))
    out.print(table)

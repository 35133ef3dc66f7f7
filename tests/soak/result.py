"""The table of docs/soak.md: one row a part, each with the day and the commit of its last run."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

BEGIN, END = "<!-- results -->", "<!-- end of results -->"
HEAD = (
    "| part | result | day | commit | minutes | its last line | command |",
    "|---|---|---|---|---|---|---|",
)
_LINE_MAX = 120


@dataclass(frozen=True, slots=True)
class Result:
    """End of a part: result, time and machine."""

    part: str
    command: str
    day: str
    commit: str
    minutes: float
    held: bool
    last_line: str

    def row(self) -> str:
        """Return the row of the table."""
        said = self.last_line.replace("|", "/").replace("`", "'")[:_LINE_MAX]
        cells = (
            self.part,
            "held" if self.held else "**failed**",
            self.day,
            f"`{self.commit}`",
            f"{self.minutes:.0f}",
            said,
            f"`{self.command}`",
        )
        return f"| {' | '.join(cells)} |"


def with_results(page: str, results: Sequence[Result]) -> str:
    """Return the page with these results in the place of the former ones of the same parts.

    Raises ValueError for a page without the two marks.
    """
    before, begin, rest = page.partition(BEGIN)
    table, end, after = rest.partition(END)
    if not begin or not end:
        msg = f"the page lacks {BEGIN} or {END}"
        raise ValueError(msg)
    rows = {line.split("|")[1].strip(): line for line in table.splitlines() if line.startswith("| ")}
    rows.pop("part", None)
    rows |= {result.part: result.row() for result in results}
    lines = "\n".join([*HEAD, *rows.values()])
    return f"{before}{BEGIN}\n{lines}\n{END}{after}"


def commit_of() -> str:
    """Return the commit of the tree, with a plus when the tree differs from it."""

    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], check=True, capture_output=True, text=True).stdout.strip()

    is_changed = bool(git("status", "--porcelain", "--", ".", ":!docs/soak.md"))
    return git("rev-parse", "--short", "HEAD") + ("+" if is_changed else "")

"""`winnow logs`: what the processes of the line wrote."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Annotated, Final

import typer

from winnow.cli.errors import CliError, command
from winnow.cli.options import DATA_DIR, DataDir
from winnow.cli.terminal import harmless

_LOOK_EVERY_S: Final = 0.2
_BLOCK_BYTES: Final = 64 * 1024


@command
def logs(
    service: Annotated[
        str, typer.Argument(metavar="[SERVICE]", help="A service, server or simulator; all without it.")
    ] = "",
    *,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    lines: Annotated[int, typer.Option("--lines", "-n", min=0, help="How many of the newest lines.")] = 20,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Show the newest lines of the logs below the data directory, those of a service or of every process.

    A log holds the run of one process; the previous run lies in the same folder as NAME.log.1.
    """
    folder = data_dir / "logs"
    paths = {path.stem: path for path in sorted(folder.glob("*.log"))}
    if not paths:
        raise CliError(f"There are no logs in {folder}.", hint="Start a line with `winnow up`.")
    name = service.lower()
    if name and name not in paths:
        raise CliError(f"There is no log of {service}.", hint=f"There are: {', '.join(paths)}.")
    chosen = {name: paths[name]} if name else paths
    followers = {}
    for title, path in chosen.items():
        followers[title] = Follower(path)
        for line in followers[title].newest(lines):
            _print(title, line, chosen)
    while follow:
        time.sleep(_LOOK_EVERY_S)
        for title, follower in followers.items():
            for line in follower.new_lines():
                _print(title, line, chosen)


class Follower:
    """Reads a log from its newest lines on; a log that was replaced is read from its start."""

    def __init__(self, path: Path) -> None:
        """Open nothing yet."""
        self._path = path
        self._offset = 0
        self._inode = 0

    def newest(self, count: int) -> list[str]:
        """Return the newest ``count`` whole lines, and continue after them."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            self._inode = self._path.stat().st_ino
            ended = _last_lines(file, count)
            self._offset = file.tell()
        return ended

    def new_lines(self) -> Iterator[str]:
        """Yield the whole lines that were written since."""
        if not self._path.exists():
            return
        found = self._path.stat()
        if found.st_ino != self._inode or found.st_size < self._offset:
            self._inode, self._offset = found.st_ino, 0
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._offset += len(line)
                yield _text(line)


def _last_lines(file: IO[bytes], count: int) -> list[str]:
    """Return the newest whole lines, and leave the file after them; reads from the end, a block at a time."""
    start = file.seek(0, 2)
    content = b""
    while start and content.count(b"\n") <= count:
        size = min(_BLOCK_BYTES, start)
        start -= size
        file.seek(start)
        content = file.read(size) + content
    whole = content[: content.rfind(b"\n") + 1]
    file.seek(start + len(whole))
    return [_text(line) for line in whole.splitlines()[-count:]] if count else []


def _text(line: bytes) -> str:
    return line.decode(errors="replace").rstrip("\r\n")


def _print(title: str, line: str, chosen: Mapping[str, Path]) -> None:
    prefix = f"{title:<{max(map(len, chosen))}} | " if len(chosen) > 1 else ""
    typer.echo(f"{prefix}{harmless(line)}")

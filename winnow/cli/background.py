"""`winnow up --background`: the line as a process of its own, its steps shown until the API answers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import typer

from winnow.cli.errors import CliError
from winnow.cli.line_access import ACCESS_FILE, LineAccess
from winnow.cli.logs import Follower
from winnow.cli.terminal import harmless
from winnow.local.process import tail

_LOOK_EVERY_S: Final = 0.1


def start_in_background(data_dir: Path, arguments: Sequence[str]) -> None:
    """Start `winnow up` with these arguments and print its steps until its API answers.

    The started process decides how long its parts may take; it is waited for as long as it lives. An
    interrupt stops it.
    """
    log = data_dir.resolve() / "logs" / "up.log"
    # The stack makes the directory for its owner alone; so does who comes before it.
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    log.parent.mkdir(mode=0o700, exist_ok=True)
    argv = [sys.executable, "-m", "winnow.cli.main", "up", "--data-dir", str(data_dir), *arguments]
    before_ns = _written_at_ns(data_dir)
    with os.fdopen(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as text:
        log.chmod(0o600)
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=text, stderr=subprocess.STDOUT, start_new_session=True
        )
    steps = Follower(log)
    try:
        while _written_at_ns(data_dir) == before_ns:
            _print_new(steps)
            if process.poll() is not None:
                raise CliError("The line did not start: " + "\n  ".join(tail(log)))
            time.sleep(_LOOK_EVERY_S)
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise
    _print_new(steps)
    typer.echo(f"\nAPI:  {LineAccess.read(data_dir).api_url}")
    typer.echo(
        f"It runs as process {process.pid}; `winnow status` shows it, `winnow logs up` what it writes,"
        " `winnow down` stops it."
    )


def _print_new(steps: Follower) -> None:
    for line in steps.new_lines():
        typer.echo(harmless(line))


def _written_at_ns(data_dir: Path) -> int:
    try:
        return (data_dir / ACCESS_FILE).stat().st_mtime_ns
    except FileNotFoundError:
        return 0

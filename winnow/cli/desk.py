"""Starts the scorer's tools as processes of their own: the command line knows services only from outside."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any, Final

from winnow.cli.errors import CliError

_TOOLS: Final = "services.scorer.tools"


def run_job(*arguments: str) -> Iterator[dict[str, Any]]:
    """Start a job and yield its lines as they come; raises CliError with the job's own sentence."""
    argv = [sys.executable, "-m", _TOOLS, *arguments]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        if process.stdout is None or process.stderr is None:
            raise CliError("The scorer's job has no output.")
        try:
            for text in process.stdout:
                line: dict[str, Any] = json.loads(text)
                if "error" in line:
                    raise CliError(_sentence(str(line["error"])))
                yield line
            complaint = process.stderr.read()
        finally:
            process.kill()
    # Killed after its last line it may not have said how it ended; then what it wrote is all there is to tell.
    if process.returncode > 0:
        last = complaint.strip().rpartition("\n")[2]
        hint = (
            "install the scorer's packages" if "ModuleNotFoundError" in last else "see --help of the command"
        )
        raise CliError(f"The scorer's job failed: {last or process.returncode}; {hint}.")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?")) else ".")

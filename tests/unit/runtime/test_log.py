"""Logs: one JSON object a line, and a full volume stops nothing."""

from __future__ import annotations

import errno
import io
import json
import sys
from collections.abc import Iterator

import pytest
import structlog

from winnow.runtime import log


@pytest.fixture
def _restored() -> Iterator[None]:
    before = structlog.get_config()
    yield
    structlog.configure(**before)
    structlog.contextvars.clear_contextvars()


@pytest.mark.usefixtures("_restored")
def test_a_line_is_one_json_object(capsys: pytest.CaptureFixture[str]) -> None:
    log.configure("ledger", "info")

    log.get_logger("here").warning("thing.happened", count=2)
    log.get_logger("here").debug("thing.hidden")

    [line] = capsys.readouterr().err.splitlines()
    shown = json.loads(line)
    assert (shown["event"], shown["service"], shown["level"], shown["count"], shown["component"]) == (
        "thing.happened",
        "ledger",
        "warning",
        2,
        "here",
    )


class Full(io.StringIO):
    """A stream on a volume without space."""

    def write(self, _: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.usefixtures("_restored")
def test_a_full_volume_stops_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", Full())
    log.configure("ledger", "info")

    log.get_logger("here").error("thing.failed")

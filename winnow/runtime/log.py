"""Structured logs: one JSON object a line; the message is a constant dotted name, everything else a field."""

from __future__ import annotations

import contextlib
import logging
import sys
from typing import Any, TextIO, cast

import structlog

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


class _Lines:
    """Writes lines to a stream. One that cannot be written is lost: a full log volume is no reason to stop working."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        # A closed or full stream raises OSError or ValueError, and nobody is left to be told.
        with contextlib.suppress(OSError, ValueError):
            print(line, file=self._stream, flush=True)

    debug = info = warning = error = critical = exception = msg


def configure(service: str, level: str) -> None:
    """Set up logging for a process; call once, in main."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(_LEVELS[level]),
        logger_factory=lambda *_: _Lines(sys.stderr),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(service=service)
    logging.raiseExceptions = False
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Return a logger that carries the module's name."""
    return cast("structlog.stdlib.BoundLogger", structlog.get_logger(component=name))


def bind(**fields: Any) -> None:
    """Bind ids to every later line of this task, at an edge."""
    structlog.contextvars.bind_contextvars(**fields)

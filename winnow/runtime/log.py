"""Structured logs: one JSON object a line; the message is a constant dotted name, everything else a field."""

from __future__ import annotations

import logging
import sys
from typing import Any, cast

import structlog

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


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
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(service=service)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s %(message)s")


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    """Give a logger that carries the module's name."""
    return cast("structlog.stdlib.BoundLogger", structlog.get_logger(component=name))


def bind(**fields: Any) -> None:
    """Bind ids to every later line of this task, at an edge."""
    structlog.contextvars.bind_contextvars(**fields)

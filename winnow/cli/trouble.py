"""How a command fails: one printed sentence and a non-zero exit, never a traceback for what can be foreseen."""

from __future__ import annotations

import asyncio
import errno
import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, Final, ParamSpec

import typer
from rich.console import Console

from winnow.contracts.errors import WinnowError

P = ParamSpec("P")
INTERRUPTED: Final = 130
"""The exit status of a process that Ctrl-C ended, as shells give it (128 + SIGINT)."""
out: Final = Console(highlight=False)
err: Final = Console(stderr=True, highlight=False)


class Trouble(Exception):  # noqa: N818 (the noun of the problem)
    """Something went wrong that a person can act on; the text is one sentence or a few, ready to print."""

    def __init__(self, sentence: str, *, exit_status: int = 1) -> None:
        """Leave with ``exit_status``."""
        super().__init__(sentence)
        self.exit_status = exit_status


def command(function: Callable[P, Coroutine[Any, Any, None] | None]) -> Callable[P, None]:
    """Turn a plain or async function into a command: trouble is printed and exits with 1."""

    @functools.wraps(function)
    def run(*arguments: P.args, **options: P.kwargs) -> None:
        try:
            result = function(*arguments, **options)
            if inspect.iscoroutine(result):
                asyncio.run(result)
        except (KeyboardInterrupt, asyncio.CancelledError):
            raise typer.Exit(INTERRUPTED) from None
        except (Trouble, WinnowError, OSError) as error:
            fail(sentence_of(error), status=getattr(error, "exit_status", 1))
        except BaseExceptionGroup as group:
            fail(" ".join(dict.fromkeys(sentence_of(one) for one in _foreseen(group))))

    return run


def fail(sentence: str, *, status: int = 1) -> None:
    """Print the sentence on standard error and leave with a status."""
    err.print(f"[bold red]winnow:[/] {_plain(sentence)}", soft_wrap=True)
    raise typer.Exit(status)


def sentence_of(error: BaseException) -> str:
    """Say an error in a sentence; a full disk is named as such wherever it shows."""
    if isinstance(error, OSError):
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            return f"There is no disk space left at {error.filename or 'the data directory'}."
        return (
            f"{error.strerror or type(error).__name__}: {error.filename}." if error.filename else f"{error}."
        )
    if isinstance(error, WinnowError):
        return as_sentence(error.detail)
    return str(error)


def as_sentence(text: str) -> str:
    """Begin with a capital; end with a stop, unless the text ends with something quoted on a line of its own."""
    ended = text if text.endswith(".") or "\n" in text else f"{text}."
    return ended[:1].upper() + ended[1:]


def _foreseen(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    expected, rest = group.split((Trouble, WinnowError, OSError))
    if rest is not None:
        raise rest
    leaves: list[BaseException] = []
    pending: list[BaseException] = [expected] if expected is not None else []
    while pending:
        one = pending.pop(0)
        if isinstance(one, BaseExceptionGroup):
            pending.extend(one.exceptions)
        else:
            leaves.append(one)
    return leaves


def _plain(text: str) -> str:
    return text.replace("[", r"\[")

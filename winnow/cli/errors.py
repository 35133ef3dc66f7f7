"""Failure of a command.

A printed sentence with a hint and a non-zero exit, never a traceback for what is foreseen.
"""

from __future__ import annotations

import errno
import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import Any, Final, ParamSpec

import typer

from winnow.cli.terminal import harmless
from winnow.contracts.errors import WinnowError

P = ParamSpec("P")
INTERRUPTED: Final = 130
"""The exit status of a process that Ctrl-C ended, as shells give it (128 + SIGINT)."""
_IN_NAMES: Final = frozenset("_/.")
"""Characters of collections, lanes, topics and paths, and of no word of prose."""


class CliError(Exception):
    """A failure that a person can act on: the text is a sentence or a few, ready to print.

    ``hint`` names the next step and is printed on a line of its own.
    """

    def __init__(self, sentence: str, *, hint: str = "", exit_status: int = 1) -> None:
        """Leave with ``exit_status``."""
        super().__init__(sentence)
        self.hint = hint
        self.exit_status = exit_status


def command(function: Callable[P, Coroutine[Any, Any, None] | None]) -> Callable[P, None]:
    """Turn a plain or async function into a command: a foreseen failure is printed and exits with 1."""

    @functools.wraps(function)
    def run(*arguments: P.args, **options: P.kwargs) -> None:
        try:
            result = function(*arguments, **options)
            if inspect.iscoroutine(result):
                _run(result)
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        except ModuleNotFoundError as error:
            fail(f"This installation has no {error.name}, which the command needs.")
        except (CliError, WinnowError, OSError) as error:
            hint, status = getattr(error, "hint", ""), getattr(error, "exit_status", 1)
            fail(sentence_of(error), hint=hint, status=status)
        except BaseExceptionGroup as group:
            fail(" ".join(dict.fromkeys(sentence_of(error) for error in _foreseen(group))))

    return run


def _run(coroutine: Coroutine[Any, Any, None]) -> None:
    import asyncio

    try:
        asyncio.run(coroutine)
    except asyncio.CancelledError:
        raise KeyboardInterrupt from None


def fail(sentence: str, *, hint: str = "", status: int = 1) -> None:
    """Print the sentence and the hint on standard error and leave with a status."""
    typer.secho("winnow: ", fg="red", bold=True, err=True, nl=False)
    typer.echo(harmless(sentence), err=True)
    if hint:
        typer.echo(f"  {harmless(hint)}", err=True)
    raise typer.Exit(status)


def sentence_of(error: BaseException) -> str:
    """Return an error as a sentence; a full disk is named as such wherever it shows."""
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
    """Begin with a capital; end with a stop, unless the text ends with something quoted on a line of its own.

    A first word that is the name of a thing (``winnow_ledger``, ``journal/ledger/0:``) stays as it is.
    """
    ended = text if text.endswith(".") or "\n" in text else f"{text}."
    first = ended.partition(" ")[0].rstrip(".,:")
    return ended if _IN_NAMES & set(first) else ended[:1].upper() + ended[1:]


def _foreseen(group: BaseExceptionGroup[BaseException]) -> list[BaseException]:
    expected, rest = group.split((CliError, WinnowError, OSError))
    if rest is not None:
        raise rest
    leaves: list[BaseException] = []
    pending: list[BaseException] = [expected] if expected is not None else []
    while pending:
        error = pending.pop(0)
        if isinstance(error, BaseExceptionGroup):
            pending.extend(error.exceptions)
        else:
            leaves.append(error)
    return leaves

"""Orders placed through the public API and followed to their ends."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any, Final

from winnow.cli.answers import Task
from winnow.cli.client import Api
from winnow.cli.errors import CliError
from winnow.cli.report import report
from winnow.cli.watching import Watch, Watched

_DELIVERED: Final = frozenset({"delivered", "partially_delivered"})
_SLACK_S: Final = 120.0
"""Seconds after its deadline for which a task is still watched."""


async def place_order(api: Api, body: dict[str, Any], idempotency_key: str = "") -> Task:
    """Place an order; raises ApiError with the API's own sentence when it is refused."""
    return Task.model_validate(await api.post("/v1/tasks", body, idempotency_key or secrets.token_hex(16)))


async def follow(api: Api, task: Task, sheets: Path | None, *, prompt: str = "") -> Watched:
    """Show a task until its end and print the report; raises CliError when nothing was delivered.

    ``prompt`` stands on the contact sheet; the API does not return prompts.
    """
    watched = await Watch(api, task).to_the_end(_SLACK_S)
    await report(api, watched, sheets, prompt)
    if watched.task.state not in _DELIVERED:
        end = watched.task.end
        reason = (end.code or end.reason or "") if end else ""
        raise CliError(f"The task ended as {watched.task.state}{f' ({reason})' if reason else ''}.")
    return watched

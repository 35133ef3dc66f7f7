"""Follows a task to its end: the event stream says when to look, the task says what there is to see."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.console import RenderableType
from rich.live import Live

from winnow.cli.answers import Offering, Task
from winnow.cli.client import Api, ApiError
from winnow.cli.console import out
from winnow.cli.errors import CliError
from winnow.cli.live import screen

_LOOK_EVERY_S = 0.5
_OFFERINGS_EVERY_S = 1.5


@dataclass(frozen=True, slots=True)
class Watched:
    """A task at its end, and how long was watched."""

    task: Task
    elapsed_s: float


class Watch:
    """Keeps the newest look at a task and its offerings."""

    def __init__(self, api: Api, task: Task) -> None:
        """Watch one task with a key of its account."""
        self._api = api
        self._task = task
        self._offerings: list[Offering] = []
        self._news = asyncio.Event()
        self._started_s = time.monotonic()

    async def to_the_end(self, slack_s: float) -> Watched:
        """Show the task until nothing more will happen; raises CliError ``slack_s`` seconds after its deadline."""
        left_s = max(0.0, (self._task.deadline_at - datetime.now(UTC)).total_seconds()) + slack_s
        try:
            async with asyncio.timeout(left_s):
                await self._show()
        except TimeoutError as error:
            raise CliError(f"The task {self._task.id} has passed its deadline without an end.") from error
        return Watched(self._task, time.monotonic() - self._started_s)

    async def _show(self) -> None:
        with Live(self._screen(), console=out, refresh_per_second=8) as live:
            async with asyncio.TaskGroup() as group:
                background = [group.create_task(self._listen()), group.create_task(self._ask_offerings())]
                while not self._task.complete:
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._news.wait(), _LOOK_EVERY_S)
                    self._news.clear()
                    self._task = await self._look()
                    live.update(self._screen())
                for task in background:
                    task.cancel()

    async def _look(self) -> Task:
        return Task.model_validate(await self._api.get(f"/v1/tasks/{self._task.id}"))

    async def _listen(self) -> None:
        async for _ in self._api.news(self._task.id):
            self._news.set()

    async def _ask_offerings(self) -> None:
        while True:
            with contextlib.suppress(ApiError):
                answer = await self._api.get("/v1/offerings")
                self._offerings = [Offering.model_validate(offering) for offering in answer["offerings"]]
            await asyncio.sleep(_OFFERINGS_EVERY_S)

    def _screen(self) -> RenderableType:
        took_s = self._task.took_s
        watched_s = time.monotonic() - self._started_s
        return screen(self._task, self._offerings, watched_s if took_s is None else took_s)

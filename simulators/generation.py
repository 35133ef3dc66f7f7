"""One accepted generation: what was asked for, where it stands, what it made."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from simulators.renderer import OutputFormat, RenderedPicture


class Stage(StrEnum):
    """Stage of a generation. The last four are final."""

    queued = "queued"
    running = "running"
    succeeded = "succeeded"
    failed = "failed"
    canceled = "canceled"
    aborted = "aborted"

    @property
    def is_final(self) -> bool:
        """Return whether nothing more will happen."""
        return self not in {Stage.queued, Stage.running}


@dataclass(frozen=True, slots=True)
class Wanted:
    """Request of a client to a provider. ``seed`` is null where the client gave none.

    ``transparent`` asks for one subject on a transparent ground, independent of the prompt.
    """

    prompt: str
    image_count: int
    size: tuple[int, int]
    output_format: OutputFormat
    seed: int | None = None
    transparent: bool = False


@dataclass(slots=True)
class ServedPicture:
    """A picture that has a place to be fetched from."""

    file_name: str
    made: RenderedPicture


@dataclass(slots=True)
class Generation:
    """An accepted generation; ``seed`` is the one in force, given or drawn."""

    request_id: str
    number: int
    wanted: Wanted
    seed: int
    price_usd_micro: int
    accepted_at: datetime
    stage: Stage = Stage.queued
    will_fail: bool = False
    will_stick: bool = False
    will_be_empty: bool = False
    started_at: datetime | None = None
    ended_at: datetime | None = None
    running_s: float = 0.0
    pictures: list[ServedPicture] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    started: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def billed_usd_micro(self) -> int:
        """Return the charge of the provider: work that ran, finished or cancelled; never what it failed at."""
        ran = self.stage in {Stage.succeeded, Stage.running} or (
            self.stage is Stage.canceled and self.started_at is not None
        )
        return self.price_usd_micro * self.wanted.image_count if ran else 0

    def start(self, at: datetime) -> None:
        """Begin to run."""
        self.stage = Stage.running
        self.started_at = at
        self.started.set()

    async def ends_within(self, limit_s: float) -> bool:
        """Wait for a final stage, no longer than ``limit_s``; say whether it came."""
        try:
            async with asyncio.timeout(limit_s):
                await self.ended.wait()
        except TimeoutError:
            return False
        return True

    def end(self, stage: Stage, at: datetime) -> None:
        """Reach a final stage, once; later calls change nothing."""
        if self.stage.is_final:
            return
        self.stage = stage
        self.ended_at = at
        self.ended.set()

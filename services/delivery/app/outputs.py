"""Outputs after their delivery: links to them, for the account they belong to, and their end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from services.delivery.app import metrics
from services.delivery.app.ports import DeliveryAggregates, Files, Index, Links
from services.delivery.domain.outputs import file_name, is_kept, link_life_s, unguessable
from winnow.contracts.errors import NotFound
from winnow.contracts.values import Output
from winnow.runtime.clock import Clock

_SWEEP_TASKS: Final = 100


@dataclass(frozen=True, slots=True)
class OutputLinks:
    """Links to one output; they end after ``expires_in_s``."""

    output_id: str
    url: str
    thumbnail_url: str
    expires_in_s: int


class Outputs:
    """Links and retention."""

    def __init__(
        self,
        states: DeliveryAggregates,
        index: Index,
        files: Files,
        links: Links,
        clock: Clock,
        *,
        retention_s: int,
        outputs_bucket: str,
        name_key: bytes,
    ) -> None:
        """Keep outputs ``retention_s`` seconds; ``name_key`` derives what saved files are called."""
        self._states = states
        self._index = index
        self._files = files
        self._links = links
        self._clock = clock
        self._retention_s = retention_s
        self._bucket = outputs_bucket
        self._name_key = name_key

    async def renew_links(self, account_id: str, task_id: str, asked_s: int) -> list[OutputLinks]:
        """Sign fresh links to what was delivered, best first.

        Raises Refused (out_of_bounds) for a life that is not allowed. Raises NotFound for a task of another
        account, a task that delivered nothing, and outputs past their retention.
        """
        expires_in_s = link_life_s(asked_s)
        state = await self._states.read_state(task_id)
        kept = (
            state is not None
            and state.account_id == account_id
            and state.end is not None
            and is_kept(state.end.at, self._clock.now(), self._retention_s)
        )
        if state is None or not kept or not state.outputs:
            raise NotFound("The task has no outputs to link to.")
        order = unguessable(self._name_key, task_id)
        return list(
            await asyncio.gather(*(self._sign(order, output, expires_in_s) for output in state.outputs))
        )

    async def sweep(self) -> int:
        """Delete the objects that are past their retention; return how many tasks were swept."""
        before = self._clock.now() - timedelta(seconds=self._retention_s)
        swept = 0
        while kept := await self._index.outputs_before(before, _SWEEP_TASKS):
            keys = [key for task in kept for key in task.keys]
            await self._files.delete(self._bucket, keys)
            await self._index.forget_outputs([task.task_id for task in kept])
            metrics.SWEPT_OBJECTS.inc(len(keys))
            swept += len(kept)
        return swept

    async def _sign(self, order: str, output: Output, expires_in_s: int) -> OutputLinks:
        url, thumbnail_url = await asyncio.gather(
            *(
                self._links.presign_get(
                    stored.bucket,
                    stored.key,
                    expires_in_s=expires_in_s,
                    filename=file_name(order, output, thumbnail=thumbnail),
                    content_type=stored.content_type,
                )
                for stored, thumbnail in ((output.stored, False), (output.thumbnail, True))
            )
        )
        metrics.LINKS.inc(2)
        return OutputLinks(output.output_id, url, thumbnail_url, expires_in_s)

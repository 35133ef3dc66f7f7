"""Timed work: delete outputs past their retention, and decide redeliveries that were asked for elsewhere."""

from __future__ import annotations

import asyncio
from typing import Final

from services.delivery.app.delivery_log import DeliveryLog
from services.delivery.app.outputs import Outputs
from winnow.adapters.object_store import ObjectStore
from winnow.contracts.errors import Unavailable, WinnowError
from winnow.runtime.log import get_logger

_log = get_logger(__name__)
REDELIVERIES_EVERY_S: Final = 2.0
_DAY_S: Final = 24 * 3600


async def set_lifecycle(objects: ObjectStore, bucket: str, retention_s: int) -> None:
    """Let the store itself delete what the sweep may have missed, one day after its time.

    One rule for the whole bucket, because a rule set replaces the one before. A store without
    lifecycle rules only loses the second net.
    """
    days = -(-retention_s // _DAY_S) + 1
    try:
        await objects.expire_after(bucket, "", days)
    except Unavailable as error:
        _log.warning("delivery.lifecycle.not_set", error=type(error.__cause__).__name__)


async def sweep_for_ever(outputs: Outputs, every_s: float) -> None:
    """Sweep until cancelled; a failed sweep is tried again the next time."""
    while True:
        try:
            swept = await outputs.sweep()
        except WinnowError as error:
            _log.warning("delivery.sweep.failed", code=error.code.value)
        else:
            if swept:
                _log.info("delivery.outputs.swept", tasks_count=swept)
        await asyncio.sleep(every_s)


async def take_redeliveries_for_ever(log: DeliveryLog) -> None:
    """Decide waiting redeliveries until cancelled."""
    while True:
        await asyncio.sleep(REDELIVERIES_EVERY_S)
        try:
            await log.take_redeliveries()
        except Exception as error:  # noqa: BLE001 (what waits stays in the store and is taken the next time)
            _log.warning("delivery.redeliveries.failed", error=type(error).__name__)

"""The bus: a reader that waits in vain does not rest beside its waiting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import faststream.kafka.subscriber.usecase as faststream_reading
import pytest
from pydantic import SecretStr

from winnow.runtime.bus import Bus, Received
from winnow.runtime.journal import Consumed, Source
from winnow.runtime.settings import ServiceSettings


class Consumer:
    """Gives the batches it was made with, one a wait."""

    def __init__(self, *batches: dict[str, list[int]]) -> None:
        self._batches = iter(batches)

    async def getmany(self, *, timeout_ms: int, max_records: int) -> dict[str, list[int]]:
        assert timeout_ms > 0
        assert max_records > 0
        return next(self._batches)


async def _handle(source: Source, received: Sequence[Received]) -> Consumed:
    return Consumed(received[-1].offset + 1)


async def test_after_a_wait_that_brought_nothing_the_next_begins_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def rest(_seconds: float) -> None:
        raise AssertionError("it rests, and what comes meanwhile lies there")

    monkeypatch.setattr(faststream_reading.anyio, "sleep", rest)
    secret = SecretStr("secret")
    bus = Bus(
        ServiceSettings(
            kafka_bootstrap="nowhere:1",
            mongo_uri=secret,
            s3_endpoint="http://nowhere",
            s3_access_key=secret,
            s3_secret_key=secret,
        ),
        "reader",
    )
    bus.subscribe(["topic"], "group", {}, _handle)
    (subscriber,) = bus.broker.subscribers
    reading: Any = subscriber
    consumer = Consumer({}, {"one": [1, 2], "another": [3]})
    assert await reading.get_msg(consumer) == ()
    assert await reading.get_msg(consumer) == (1, 2, 3)

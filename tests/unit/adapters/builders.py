"""A bus that is not connected."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import SecretStr

from winnow.adapters.bus import Bus
from winnow.adapters.partitions import Consumed, Source
from winnow.adapters.records import ConsumedRecord
from winnow.runtime.settings import ServiceSettings


async def _handle(source: Source, received: Sequence[ConsumedRecord]) -> Consumed:
    return Consumed(received[-1].offset + 1)


def unconnected_bus() -> Bus:
    secret = SecretStr("secret")
    return Bus(
        ServiceSettings(
            kafka_bootstrap="nowhere:1",
            mongo_uri=secret,
            s3_endpoint="http://nowhere",
            s3_access_key=secret,
            s3_secret_key=secret,
        ),
        "reader",
    )

"""The services' bus by itself, with the settings of the broker that it is run on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from winnow.adapters.bus import Bus
from winnow.runtime.settings import ServiceSettings


def bus_of(bootstrap: str, name: str, bus_settings: Mapping[str, str], shards: int) -> Bus:
    """Return a bus that is not started."""
    given: dict[str, Any] = {setting.lower(): value for setting, value in bus_settings.items()}
    unused = SecretStr("unused")
    settings = ServiceSettings(
        kafka_bootstrap=bootstrap,
        instance=name,
        shards=shards,
        mongo_uri=unused,
        s3_endpoint="unused",
        s3_access_key=unused,
        s3_secret_key=unused,
        **given,
    )
    return Bus(settings, "test")

"""Readiness names the shards that wait, and stays: the others of the process go on."""

from __future__ import annotations

import json
from typing import Any

from pydantic import SecretStr

from winnow.runtime.service import Service
from winnow.runtime.settings import ServiceSettings


async def test_a_held_shard_is_shown_with_its_reason_and_the_process_stays_ready() -> None:
    secret = SecretStr("secret")
    settings = ServiceSettings(
        kafka_bootstrap="nowhere:1",
        mongo_uri=secret,
        s3_endpoint="http://nowhere",
        s3_access_key=secret,
        s3_secret_key=secret,
    )
    service: Any = Service("adder", settings)
    held = {"3": "test.added version 2: this build knows version 1 at most"}
    service.add_held("journal", lambda: held)
    service._ready = True
    answer = await service._readyz(None)
    assert answer.status_code == 200
    assert json.loads(answer.body) == {
        "ready": True,
        "missing": [],
        "held": ["journal/3: test.added version 2: this build knows version 1 at most"],
    }
    held.clear()
    assert json.loads((await service._readyz(None)).body)["held"] == []

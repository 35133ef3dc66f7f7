"""An order that is placed, and what other services say about it."""

from __future__ import annotations

from tests.unit.ingest.events import Tale
from tests.unit.ingest.ingest_app import ADMIN_TOKEN, IngestApp

BODY = {"template": "studio_headshot", "mode": "low_cost", "k": 2, "prompt": "a friendly engineer"}


async def place(world: IngestApp, client, headers: dict, key: str = "order-1") -> Tale:
    answer = await client.post("/v1/tasks", json=BODY, headers=headers | {"Idempotency-Key": key})
    await world.settle()
    return Tale(answer.json()["id"])


def tell(world: IngestApp, tale: Tale, count: int | None = None) -> None:
    sequences: dict[str, int] = {}
    for producer, event in tale.whole()[:count]:
        sequences[producer] = sequences.get(producer, 0) + 1
        world.say(event, producer, 0 if producer == "scorer" else sequences[producer])


WORDED = BODY | {"template": "product_shot"}
KEY = {"Idempotency-Key": "order-1"}
ADMIN = {"Authorization": f"Bearer {ADMIN_TOKEN}"}

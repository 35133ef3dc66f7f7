"""Every store that a real run left behind is made again from the record, field by field the same."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pymongo
import pytest

from tests.support.eventually import eventually
from tests.support.line import RunningLine, running_line
from winnow.local.line import SERVICES

STORES = {
    "ledger": ("state", "folds", "entries", "entries_read_to"),
    "router": ("state", "folds"),
    "delivery": ("state", "folds", "outputs", "webhooks"),
    "ingest": ("state", "folds", "http_state", "http_folds", "tasks", "candidates", "task_events", "entries"),
}
KEPT = {"delivery": ("journal", "webhook_endpoints"), "ingest": ("journal", "http_journal", "keys")}
NOT_RECORDED = ("stored_at", "planned_at")
"""When the index was written; no event says it."""
Client = pymongo.MongoClient[dict[str, Any]]


@pytest.fixture(scope="module")
def stopped() -> Iterator[tuple[RunningLine, Client]]:
    """Run a line until it has something of everything, then stop its services and keep its servers."""
    with running_line(settings={"router": {}}) as line:
        asyncio.run(_orders(line))
        with pymongo.MongoClient[dict[str, Any]](line.addresses.mongo_uri, tz_aware=True) as client:
            yield line, client


async def _orders(line: RunningLine) -> None:
    async with line.client() as client:
        hook = {"url": f"{line.line.receiver_url}/hooks/rebuild"}
        answer = await client.http.post("/v1/webhook-endpoints", json=hook)
        assert answer.status_code == 201, answer.text
        assert (await client.end(await client.order(k=2)))["state"] == "delivered"
        assert (await client.end(await client.order(k=1, template="product_shot", mode="fast")))["complete"]
        cancelled = await client.order(k=1)
        await client.http.post(f"/v1/tasks/{cancelled}/cancel")
        await client.end(cancelled)


def stores(client: Client, service: str, names: tuple[str, ...]) -> dict[str, dict[Any, Mapping[str, Any]]]:
    return {
        name: {
            row["_id"]: {one: value for one, value in row.items() if one not in NOT_RECORDED}
            for row in client[f"winnow_{service}"][name].find()
        }
        for name in names
    }


async def rebuild(line: RunningLine, service: str, *options: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "winnow.cli.main", "rebuild", service, *options),
        env=os.environ | dict(line.line.service(service).env) | {"COLUMNS": "250"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode or 0, said.decode()


async def refused_as_not_empty(line: RunningLine, service: str) -> bool:
    """Tansu keeps a member that has left for a while, and so long the shards count as held."""
    code, said = await rebuild(line, service)
    assert code == 1, said
    assert "is not empty" in said, said
    return True


@pytest.mark.timeout(300)
async def test_every_store_is_made_again_as_it_was(stopped: tuple[RunningLine, Client]) -> None:
    line, client = stopped
    code, said = await rebuild(line, "ledger", "--force")
    assert (code, "hold its shards" in said) == (1, True), said
    await asyncio.to_thread(line.supervisor.stop)
    assert set(STORES) < set(SERVICES)
    for service, names in STORES.items():
        live, kept = stores(client, service, names), stores(client, service, KEPT.get(service, ("journal",)))
        assert all(live.values()), (service, [name for name, rows in live.items() if not rows])
        await eventually(lambda name=service: refused_as_not_empty(line, name), within_s=90, every_s=1)
        assert stores(client, service, names) == live
        for name in names:
            client[f"winnow_{service}"].drop_collection(name)
        code, said = await rebuild(line, service)
        assert code == 0, said
        made = stores(client, service, names)
        for name in names:
            assert made[name].keys() == live[name].keys(), (service, name)
            for key, row in live[name].items():
                assert made[name][key] == row, (service, name, key)
        assert stores(client, service, KEPT.get(service, ("journal",))) == kept

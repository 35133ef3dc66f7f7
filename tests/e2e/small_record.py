"""Record with something of everything: orders of several kinds, a refused refund, an early archive."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx

from tests.bench.counts import when_quiet
from tests.support.eventually import eventually
from tests.support.servers.line import RunningLine


async def place_orders(line: RunningLine, folder: Path) -> None:
    async with line.client() as client:
        hook = {"url": f"{line.line.receiver_url}/hooks/rebuild"}
        answer = await client.http.post("/v1/webhook-endpoints", json=hook)
        assert answer.status_code == 201, answer.text
        delivered = await client.end(await client.order(k=2))
        assert delivered["state"] == "delivered"
        await archive(line, folder)
        assert (await client.end(await client.order(k=1, template="product_shot", mode="fast")))["complete"]
        await refuse_a_refund(line, delivered)
        # More candidates and events than a row holds.
        assert (await client.end(await client.order(k=20)))["complete"]
        cancelled = await client.order(k=1)
        await client.http.post(f"/v1/tasks/{cancelled}/cancel")
        await client.end(cancelled)
    # Its webhooks come after the end of a task; who reads the record twice is to find the same.
    await when_quiet(line)


async def refuse_a_refund(line: RunningLine, task: dict[str, Any]) -> None:
    """Ask for all that was charged several times at once, so that the ledger refuses what comes second."""
    headers = {"authorization": f"Bearer {line.line.admin_token}"}
    path = f"/v1/admin/tasks/{task['id']}"
    body = {"amount_credits_micro": task["settlement"]["settled_credits_micro"], "reason": "goodwill"}
    async with httpx.AsyncClient(base_url=line.line.api_url, timeout=60, headers=headers) as admin:
        answers = await asyncio.gather(
            *(
                admin.post(f"{path}/refund", json=body, headers={"idempotency-key": f"rebuild-{n}"})
                for n in range(6)
            )
        )
        ids = [answer.json()["refund_id"] for answer in answers if answer.status_code == 202]
        assert len(ids) > 1, [answer.text for answer in answers]

        async def decided() -> bool:
            shown = [(await admin.get(f"{path}/refunds/{id_}")).json()["status"] for id_ in ids]
            return {"refunded", "refused"} == set(shown)

        await eventually(decided, within_s=60)


async def archive(line: RunningLine, folder: Path) -> None:
    code, said = await line.winnow("audit", "archive", "--archive", str(folder))
    assert code == 0, said

"""Refunds that cross, and the cost of attempts that were out at the bill, on the running line."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from tests.support.eventually import eventually
from tests.support.servers.line import CREDIT, RunningLine


async def test_refunds_that_cross_give_back_no_more_than_was_charged_and_each_shows_its_outcome(
    line: RunningLine,
) -> None:
    async with line.client(credit_count=100) as client, admin_of(line) as admin:
        task_id = await client.order(k=2)
        task = await client.end(task_id)
        charged = task["settlement"]["settled_credits_micro"]
        part = charged * 2 // 5
        path = f"/v1/admin/tasks/{task_id}"

        async def refund(key: str) -> Any:
            body = {"amount_credits_micro": part, "reason": "goodwill"}
            answer = await admin.post(f"{path}/refund", json=body, headers={"idempotency-key": key})
            assert answer.status_code in {202, 422}, answer.text
            return answer.json() if answer.status_code == 202 else None

        # Each key twice, all at once: of the five refunds two fit.
        answers = await asyncio.gather(*(refund(f"{task_id}-{number % 5}") for number in range(10)))
        ids = sorted({answer["refund_id"] for answer in answers if answer is not None})
        assert len(ids) >= 2

        async def decided() -> list[Any] | None:
            shown = [(await admin.get(f"{path}/refunds/{id_}")).json() for id_ in ids]
            return None if any(answer["status"] == "pending" for answer in shown) else shown

        outcomes = await eventually(decided, within_s=60)
        refunded = [outcome for outcome in outcomes if outcome["status"] == "refunded"]
        refused = [outcome for outcome in outcomes if outcome["status"] == "refused"]
        assert len(refunded) == 2, outcomes
        assert {refusal["code"] for refusal in refused} <= {"amount_not_allowed"}
        assert all(refusal["reason"] for refusal in refused)
        entries = (await client.get("/v1/account/entries", limit=200))["entries"]
        assert (
            sum(entry["amount_credits_micro"] for entry in entries if entry["kind"] == "refund") == 2 * part
        )
        balance = await client.balance()
        assert balance["available_credits_micro"] == 100 * CREDIT - charged + 2 * part


async def test_the_cost_of_attempts_that_a_cancel_stops_is_taken_out_of_the_books(line: RunningLine) -> None:
    for provider in ("fal", "replicate", "openai"):
        await line.control(provider, stuck_next=20)
    async with line.client(credit_count=50) as client:
        task_id = await client.order(k=2)

        async def submitted() -> bool:
            return bool((await client.task(task_id))["state"] == "generating")

        await eventually(submitted, within_s=60)
        answer = await client.http.post(f"/v1/tasks/{task_id}/cancel")
        assert answer.status_code in {200, 202}, answer.text
        task = await client.end(task_id)
        assert task["state"] == "cancelled"

        async def corrected() -> list[Any] | None:
            entries = (await client.get("/v1/account/entries", limit=200))["entries"]
            return [entry for entry in entries if entry["kind"] == "cost_variance"] or None

        # The bill took what was out for its expected cost; what is cancelled before it ran costs nothing.
        entries = await eventually(corrected, within_s=90)
        assert {(entry["task_id"], entry["amount_credits_micro"]) for entry in entries} == {(task_id, 0)}
        assert len({entry["entry_id"] for entry in entries}) == len(entries)
        assert (await client.balance())["available_credits_micro"] == 50 * CREDIT


def admin_of(line: RunningLine) -> httpx.AsyncClient:
    headers = {"authorization": f"Bearer {line.line.admin_token}"}
    return httpx.AsyncClient(base_url=line.line.api_url, timeout=60, headers=headers)

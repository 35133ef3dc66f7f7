"""Orders that end in every way, and commands that leave every private event in some service's journal."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx

from tests.support.eventually import eventually
from tests.support.every_booking import book_everything
from tests.support.recorder import Recorder
from tests.support.servers.line import CREDIT, PROVIDERS, RunningLine
from winnow.contracts.envelope import Message
from winnow.contracts.events import TaskAccepted, TaskCancelRequested, TaskSelected, TaskUnfunded
from winnow.contracts.ids import Prefix, derive_id

_TRIES = 8


async def every_end(line: RunningLine) -> None:
    """Place the orders, one kind after the other, and wait until nothing more happens to any."""
    recorder = Recorder(line)
    await _delivered(line)
    await _not_all_delivered(line)
    await _cancelled(line)
    await _overdue(line)
    await _rejected(line)
    await _out_of_order(line, recorder)
    await _not_finished(line, recorder)
    await book_everything(line, recorder)


async def _delivered(line: RunningLine) -> None:
    async with line.client(credit_count=100) as client:
        url = f"{line.line.receiver_url}/hook/{client.account_id}"
        made = await client.http.post("/v1/webhook-endpoints", json={"url": url})
        assert made.status_code == 201, made.text
        await line.control("receiver", secrets=[made.json()["secret"]], fail_next=1, fail_status=500)
        first = await client.order(k=2)
        for order in (
            {"template": "product_shot", "mode": "stable", "k": 1, "prompt": "product photo of a mug"},
            {"template": "product_shot", "mode": "fast", "k": 2, "prompt": "product photo of a mug"},
            {"k": 1, "mode": "fast"},
            {"k": 1, "mode": "stable"},
        ):
            await client.end(await client.order(**order))
        await client.end(first)

        async def notified() -> Any:
            log = (await client.get("/v1/webhook-deliveries", task_id=first))["deliveries"]
            return log[0]["delivery_id"] if log and log[0]["state"] == "delivered" else None

        delivery_id = await eventually(notified, within_s=60)
        again = await client.http.post(f"/v1/webhook-deliveries/{delivery_id}/redeliver")
        assert again.status_code == 202, again.text
        admin = {"authorization": f"Bearer {line.line.admin_token}"}
        async with httpx.AsyncClient(base_url=line.line.api_url, timeout=30, headers=admin) as http:
            for amount in (CREDIT // 10, 1000 * CREDIT):
                refund = await http.post(
                    f"/v1/admin/tasks/{first}/refund",
                    json={"amount_credits_micro": amount, "reason": "goodwill"},
                    headers={"idempotency-key": f"refund-{amount}"},
                )
                assert refund.status_code in {202, 409, 422}, refund.text


async def _not_all_delivered(line: RunningLine) -> None:
    async with line.client(credit_count=100) as client:
        for provider in PROVIDERS:
            await line.control(provider, forced_defects=[None, *["blur"] * 300])
        task = await client.end(await client.order(k=3))
        assert task["state"] == "partially_delivered", task["end"]
        for provider in PROVIDERS:
            await line.control(provider, forced_defects=["blur"] * 300)
        task = await client.end(await client.order(k=1))
        assert task["state"] == "failed", task["end"]
        await line.calm()
        for provider in PROVIDERS:
            await line.control(provider, forced_defects=["blur"] * 3)
        await client.end(await client.order(k=1, cost_cap_usd_micro=2_000_000))
        await line.calm()
        await line.control("fal", outage=True)
        await client.end(await client.order(k=1))
        await line.calm()


async def _cancelled(line: RunningLine) -> None:
    for provider in PROVIDERS:
        await line.control(provider, latency_s=20.0)
    async with line.client(credit_count=100) as client:
        early, late = await client.order(k=1), await client.order(k=1)
        await client.http.post(f"/v1/tasks/{early}/cancel")

        async def running() -> bool:
            return bool((await client.task(late))["rounds"])

        await eventually(running, within_s=60)
        await client.http.post(f"/v1/tasks/{late}/cancel")
        for task_id in (early, late):
            assert (await client.end(task_id))["state"] == "cancelled"
    await line.calm()


async def _overdue(line: RunningLine) -> None:
    """An attempt that takes far longer than its offering says is tried elsewhere."""
    for provider in ("fal", "replicate"):
        await line.control(provider, latency_s=45.0)
    async with line.client(credit_count=100) as client:
        tasks = [await client.order(k=1, mode=mode) for mode in ("fast", "low_cost")]
        for task_id in tasks:
            await client.end(task_id, within_s=240)
    await line.calm()


async def _rejected(line: RunningLine) -> None:
    """Orders that race for the same credits: some of them pass the quote and are not funded."""
    for _ in range(_TRIES):
        async with line.client(credit_count=2) as client:
            answers = await asyncio.gather(*(client.submit(k=1) for _ in range(6)))
            taken = [answer.json()["id"] for answer in answers if answer.status_code == 202]
            states = {(await client.end(task_id))["state"] for task_id in taken}
            if "rejected" in states:
                return
    raise AssertionError("no order was rejected")


async def _out_of_order(line: RunningLine, recorder: Recorder) -> None:
    """Record messages of a task before its acceptance."""
    async with line.client(credit_count=100) as client:
        pattern = await client.order(k=1)
        await client.end(pattern)
        accepted = await recorder.find("task.accepted", lambda event: bool(event["task_id"] == pattern))
        assert isinstance(accepted, TaskAccepted)
        for number, make in enumerate((_early_cancel, _early_refusal)):
            task_id = derive_id(Prefix.task, "recorder", number)
            again = accepted.model_copy(
                update={
                    "task_id": task_id,
                    "reservation_id": derive_id(Prefix.reservation, "recorder", number),
                }
            )
            await recorder.write(make(task_id, client.account_id), again)

            async def ended(task_id: str = task_id) -> bool:
                answer = await client.http.get(f"/v1/tasks/{task_id}")
                return answer.status_code == 200 and answer.json()["state"] in {"cancelled", "rejected"}

            await eventually(ended, within_s=60)


def _early_cancel(task_id: str, account_id: str) -> Message:
    return TaskCancelRequested(task_id=task_id, account_id=account_id)


def _early_refusal(task_id: str, account_id: str) -> Message:
    return TaskUnfunded.model_validate(
        {
            "task_id": task_id,
            "account_id": account_id,
            "code": "insufficient_credits",
            "shortfall_credits_micro": CREDIT,
            "reservation_id": derive_id(Prefix.reservation, "recorder", 1),
        }
    )


async def _not_finished(line: RunningLine, recorder: Recorder) -> None:
    """A selection whose candidate is not in the object store."""
    async with line.client(credit_count=100) as client:
        pattern = await client.order(k=1)
        await client.end(pattern)
        selected = await recorder.find("task.selected", lambda event: bool(event["task_id"] == pattern))
        assert isinstance(selected, TaskSelected)
        task_id = derive_id(Prefix.task, "recorder", "not-finished")
        candidate = selected.selected[0]
        lost = candidate.model_copy(
            update={"stored": candidate.stored.model_copy(update={"key": f"candidates/{task_id}/none.jpg"})}
        )
        reservation_id = derive_id(Prefix.reservation, "recorder", "not-finished")
        await recorder.write(
            selected.model_copy(
                update={"task_id": task_id, "selected": [lost], "reservation_id": reservation_id}
            )
        )

        async def failed() -> bool:
            try:
                await recorder.find("task.failed", lambda event: bool(event["task_id"] == task_id))
            except LookupError:
                return False
            return True

        await eventually(failed, within_s=90, every_s=1.0)

"""Temporal's development server: a workflow of five activities, one worker process with the unsandboxed runner."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from measured import PAYLOAD, STAGES, free_port, listens, one_step, process, wait_for
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

_QUEUE = "peer"
_AT_ONCE = 64


@activity.defn
async def stage(payload: dict[str, Any]) -> dict[str, Any]:
    """Move the payload on."""
    return one_step(payload)


@workflow.defn
class Chain:
    """Five activities in a row."""

    @workflow.run
    async def run(self, payload: dict[str, Any]) -> int:
        """Run them; return the stage reached."""
        for _ in range(STAGES):
            payload = await workflow.execute_activity(
                stage, payload, start_to_close_timeout=timedelta(seconds=60)
            )
        return int(payload["stage"])


async def _work(address: str) -> None:
    client = await Client.connect(address)
    async with Worker(
        client,
        task_queue=_QUEUE,
        workflows=[Chain],
        activities=[stage],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        await asyncio.Event().wait()


async def _finish(address: str, count: int, batch: str) -> None:
    client = await Client.connect(address)
    gate = asyncio.Semaphore(_AT_ONCE)

    async def finish_task(number: int) -> None:
        async with gate:
            reached = await client.execute_workflow(
                Chain.run, PAYLOAD | {"task": number}, id=f"{batch}-{number}", task_queue=_QUEUE
            )
            assert reached == STAGES

    await asyncio.gather(*(finish_task(number) for number in range(count)))


@contextmanager
def running() -> Iterator[Any]:
    """Run the server and a worker; yield a function that runs a number of workflows to their end."""
    port = free_port()
    address = f"127.0.0.1:{port}"
    batches = iter(range(1_000_000))
    command = Path(sys.executable).parent / "temporal"
    server = (str(command), "server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", str(port))
    with process(*server, "--log-level", "error"):
        wait_for(lambda: listens(port))
        with process(sys.executable, "temporal_chain.py", address):
            yield lambda count: asyncio.run(_finish(address, count, f"batch-{next(batches)}"))


if __name__ == "__main__":
    asyncio.run(_work(sys.argv[1]))

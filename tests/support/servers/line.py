"""The whole line as processes on real servers, and a client that knows the public API alone."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from aiokafka import AIOKafkaProducer

from tests.support.eventually import eventually
from tests.support.servers import buses
from tests.support.servers.stack import running_stack
from winnow.adapters.topics import apply_topics
from winnow.contracts.ids import Prefix, derive_id, shard_of
from winnow.contracts.topics import ACCOUNTS
from winnow.local.line import SHARDS, Line, LineOptions
from winnow.local.ports import choose
from winnow.local.stack import EmbeddedStack
from winnow.local.supervisor import Supervisor

SCOPES = ["tasks:write", "tasks:read", "account:read", "webhooks:write", "operator"]
PROVIDERS = ("fal", "replicate", "openai")
ENDS = {"delivered", "partially_delivered", "failed", "cancelled", "rejected"}
CREDIT = 1_000_000
_numbers = itertools.count(1)
_GOLDEN_ENTRY = Path(__file__).resolve().parents[2] / "contract/golden/entry.recorded.v1/demo.json"


@dataclass
class Client:
    """One account's client."""

    account_id: str
    http: httpx.AsyncClient

    async def submit(self, *, key: str = "", **order: Any) -> httpx.Response:
        """Order; the defaults make a small headshot task."""
        body = {
            "template": "studio_headshot",
            "mode": "low_cost",
            "k": 2,
            "prompt": "studio headshot",
            **order,
        }
        headers = {"idempotency-key": key or f"order-{next(_numbers)}"}
        return await self.http.post("/v1/tasks", json=body, headers=headers)

    async def order(self, **order: Any) -> str:
        """Order and return the task's id."""
        answer = await self.submit(**order)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"] if "id" in answer.json() else answer.json()["task_id"])

    async def get(self, path: str, **params: Any) -> Any:
        """Read a resource."""
        answer = await self.http.get(path, params=params)
        assert answer.status_code == 200, f"{path}: {answer.text}"
        return answer.json()

    async def task(self, task_id: str) -> Any:
        """Read a task."""
        return await self.get(f"/v1/tasks/{task_id}")

    async def end(self, task_id: str, within_s: float = 90) -> Any:
        """Wait until nothing more will happen to a task, and return it."""

        async def complete() -> Any:
            task = await self.task(task_id)
            return task if task["complete"] else None

        return await eventually(complete, within_s=within_s, every_s=0.1)

    async def candidates(self, task_id: str) -> list[dict[str, Any]]:
        """Read all candidates of a task."""
        found: list[dict[str, Any]] = []
        cursor = None
        while True:
            page = await self.get(f"/v1/tasks/{task_id}/candidates", **({"cursor": cursor} if cursor else {}))
            found += page["candidates"]
            cursor = page["next_cursor"]
            if cursor is None:
                return found

    async def balance(self) -> Any:
        """Read the account."""
        return await self.get("/v1/account")


async def until_served(send: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
    """Send again while the answer is 503 with a time to wait, as a client does; returns the first other answer."""

    async def served() -> httpx.Response | None:
        answer = await send()
        return None if answer.status_code == 503 and "retry-after" in answer.headers else answer

    return await eventually(served, within_s=60, every_s=1.0)


class RunningLine:
    """The line, its simulators' controls, and its operator."""

    def __init__(self, line: Line, supervisor: Supervisor, stack: EmbeddedStack) -> None:
        self.addresses = stack.addresses
        self.kafka_bootstrap = stack.addresses.kafka_bootstrap
        self.line = line
        self.supervisor = supervisor
        self.stack = stack
        self.root = stack.root

    async def control(self, provider: str, **controls: Any) -> None:
        """Change a simulated provider."""
        async with httpx.AsyncClient(base_url=self.line.simulator_url(provider)) as http:
            answer = await http.post("/_control", json=controls)
            assert answer.status_code < 300, answer.text

    async def ask(self, provider: str, path: str) -> Any:
        """Ask a simulated provider, or the receiver, what it knows."""
        async with httpx.AsyncClient(base_url=self.line.simulator_url(provider)) as http:
            return (await http.get(path)).json()

    async def calm(self) -> None:
        """Take every control back."""
        for provider in PROVIDERS:
            await self.control(
                provider,
                outage=False,
                defect_rate=0.0,
                forced_defects=[],
                lost_reply_next=0,
                too_many_next=0,
                error_next=0,
                hang_next=0,
                filtered_next=0,
                failed_next=0,
                stuck_next=0,
                empty_next=0,
                latency_s=0.0,
            )

    async def winnow(self, *arguments: str) -> tuple[int, str]:
        """Run the command against this line; return its exit status and what it said."""
        env = os.environ | {
            "WINNOW_API_URL": self.line.api_url,
            "WINNOW_ADMIN_TOKEN": self.line.admin_token,
            "WINNOW_KAFKA_BOOTSTRAP": self.kafka_bootstrap,
            "WINNOW_LEDGER_GRPC": self.line.grpc_address("ledger"),
            "WINNOW_MONGO_URI": self.addresses.mongo_uri,
            "WINNOW_S3_ENDPOINT": self.addresses.s3_endpoint,
            "WINNOW_S3_ACCESS_KEY": self.addresses.s3_access_key,
            "WINNOW_S3_SECRET_KEY": self.addresses.s3_secret_key,
            "COLUMNS": "250",
        }
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "winnow.cli.main",
            *arguments,
            env=env,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await asyncio.wait_for(process.communicate(), 120)
        return process.returncode or 0, said.decode()

    async def forge_entry(self, account_id: str) -> None:
        """Write an entry to the books' topic that no ledger decided."""
        document = json.loads(_GOLDEN_ENTRY.read_text()) | {
            "account_id": account_id,
            "subject": account_id,
            "event_id": derive_id(Prefix.event, "forged", account_id),
        }
        producer = AIOKafkaProducer(bootstrap_servers=self.kafka_bootstrap)
        await producer.start()
        try:
            await producer.send_and_wait(
                ACCOUNTS.name,
                json.dumps(document).encode(),
                key=account_id.encode(),
                partition=shard_of(account_id, SHARDS),
                headers=[("type", b"entry.recorded")],
            )
        finally:
            await producer.stop()

    @contextlib.asynccontextmanager
    async def client(
        self, credit_count: int = 1000, scopes: list[str] | None = None
    ) -> AsyncIterator[Client]:
        """Yield a new account with credits."""
        account_id = f"acct_test-{next(_numbers)}"
        admin = {"authorization": f"Bearer {self.line.admin_token}"}
        async with httpx.AsyncClient(base_url=self.line.api_url, timeout=30, headers=admin) as http:
            made = await until_served(
                lambda: http.post(
                    "/v1/admin/keys",
                    json={"account_id": account_id, "scopes": scopes or SCOPES, "label": "test"},
                )
            )
            assert made.status_code == 201, made.text
            if credit_count:
                headers = {"idempotency-key": f"grant-{next(_numbers)}"}
                granted = await until_served(
                    lambda: http.post(
                        f"/v1/admin/accounts/{account_id}/grants",
                        json={"amount_credits_micro": credit_count * CREDIT, "source": "topup"},
                        headers=headers,
                    )
                )
                assert granted.status_code == 202, granted.text
        key = {"authorization": f"Bearer {made.json()['key']}"}
        async with httpx.AsyncClient(base_url=self.line.api_url, timeout=30, headers=key) as http:
            client = Client(account_id, http)

            async def funded() -> bool:
                return bool((await client.balance())["available_credits_micro"] == credit_count * CREDIT)

            await eventually(funded, within_s=120)
            yield client


def free_port() -> int:
    """Return a free port at random, so that two lines that start at once do not both reach for the usual one."""
    return choose(["api"], {})["api"]


@contextlib.contextmanager
def running_line(
    profiles: Mapping[str, str] | None = None,
    settings: Mapping[str, Mapping[str, str]] | None = None,
    bus: str = buses.TANSU,
) -> Iterator[RunningLine]:
    """Run the line with simulators that do nothing wrong unless asked."""
    with running_stack(bus) as stack, tempfile.TemporaryDirectory(prefix="winnow-logs-") as logs:
        asyncio.run(apply_topics(stack.addresses.kafka_bootstrap, shards=SHARDS, replicas=1))
        chosen = profiles or {provider: f"flawless-{provider}" for provider in PROVIDERS}
        options = LineOptions(api_port=free_port(), profiles=chosen, settings=settings or {})
        line = Line(stack, options)
        supervisor = Supervisor(Path(logs))
        try:
            supervisor.start(line.layers())
            supervisor.check()
            yield RunningLine(line, supervisor, stack)
            supervisor.check()
        finally:
            supervisor.stop()

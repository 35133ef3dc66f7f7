"""The line that `winnow up` starts survives the death of any of its processes, and goes on without a hopeless one."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.eventually import eventually
from tests.support.servers.line import ENDS, Client
from tests.support.servers.started_line import StartedLine, started_line
from winnow.local.line import PROVIDERS, SERVICES

pytestmark = pytest.mark.timeout(3600)
SERVERS = ("SeaweedFS", "SecantusDB", "Tansu")
SIMULATORS = tuple(f"simulator-{name}" for name in (*PROVIDERS, "receiver"))
ALONE = tuple((name,) for name in (*SERVICES, *SERVERS, *SIMULATORS))
# A dead member's partitions move after 30 to 50 s, so `make test` kills the services at once; the simulators are one program.
# The soak's part `kills` kills every process alone.
TOGETHER = (SERVICES, *((name,) for name in (*SERVERS, SIMULATORS[0])))
VICTIMS = ALONE if os.environ.get("WINNOW_TEST_KILLS") == "alone" else TOGETHER
ORDERS_BEFORE, ORDERS_AFTER = 2, 1
DEADLINE_S = 1800
AMPLE_CAP_USD_MICRO = 2_000_000
"""A call whose outcome died with its process counts as spent, and the default cap of one picture is soon reached."""
# Tansu gives a killed member's partitions to the next after 30 to 50 s, and the machine may be busy.
WITHIN_S = 600.0
UNWILLING = {408, 409, 425, 429, 500, 502, 503, 504}


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StartedLine]:
    with started_line(tmp_path_factory.mktemp("killed") / "line") as started:
        yield started


def client_of(line: StartedLine) -> Client:
    key = {"authorization": f"Bearer {line.place.api_key}"}
    return Client("acct_demo", httpx.AsyncClient(base_url=line.place.api_url, timeout=30, headers=key))


async def order(client: Client, key: str) -> str:
    """Order one picture; a client that is refused or gets no answer asks again with the same key."""

    async def accepted() -> str:
        try:
            answer = await client.submit(
                key=key, k=1, deadline_s=DEADLINE_S, cost_cap_usd_micro=AMPLE_CAP_USD_MICRO
            )
        except httpx.TransportError:
            return ""
        assert answer.status_code == 202 or answer.status_code in UNWILLING, answer.text
        return str(answer.json()["id"]) if answer.status_code == 202 else ""

    return await eventually(accepted, within_s=WITHIN_S, every_s=0.5)


async def task(client: Client, task_id: str) -> dict[str, Any]:
    """Read a task; nothing while the API does not answer."""
    try:
        answer = await client.http.get(f"/v1/tasks/{task_id}")
    except httpx.TransportError:
        return {}
    return dict(answer.json()) if answer.status_code == 200 else {}


async def end(client: Client, task_id: str) -> str:
    """Wait until nothing more will happen to a task; returns its state."""

    async def ended() -> str:
        seen = await task(client, task_id)
        return str(seen["state"]) if seen.get("complete") else ""

    return await eventually(ended, within_s=WITHIN_S, every_s=0.5)


async def verify(line: StartedLine) -> None:
    """Run `winnow audit verify` against the line."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "winnow.cli.main", "audit", "verify"),
        env=os.environ | {"WINNOW_DATA_DIR": str(line.root), "COLUMNS": "250"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()


@pytest.mark.parametrize("names", VICTIMS, ids="-".join)
async def test_killed_processes_come_back_and_every_order_ends(
    line: StartedLine, names: tuple[str, ...]
) -> None:
    client, key = client_of(line), "-".join(names)
    try:
        tasks = await asyncio.gather(*(order(client, f"{key}-{number}") for number in range(ORDERS_BEFORE)))
        pids = {each.name: each.pid for each in line.record().processes}
        states = await asyncio.gather(*(task(client, each) for each in tasks))
        assert any(not each.get("complete") for each in states), "nothing was in flight"
        before = [line.kill(name) for name in names]
        tasks += await asyncio.gather(
            *(order(client, f"{key}-late-{number}") for number in range(ORDERS_AFTER))
        )
        for killed in before:
            await eventually(partial(line.came_back, killed), within_s=WITHIN_S, every_s=0.2)
        ends = Counter(await asyncio.gather(*(end(client, each) for each in tasks)))
        assert set(ends) <= ENDS
        # A deadline of half an hour leaves the time to make every picture again.
        assert ends["delivered"] == len(tasks), ends
        now = {each.name: each.pid for each in line.record().processes}
        assert {each for each in pids if pids[each] != now[each]} == set(names), line.said()
        assert all(line.state(killed.name).address == killed.address for killed in before)
        assert line.process.poll() is None
    finally:
        await client.http.aclose()


async def test_after_all_the_kills_the_books_are_sound_and_ctrl_c_leaves_with_0(line: StartedLine) -> None:
    killed = {each.name for each in line.record().processes if each.restarts}
    client = client_of(line)
    try:
        account = await client.get("/v1/account")
        tasks = (await client.get("/v1/tasks", limit=100))["tasks"]
    finally:
        await client.http.aclose()
    if killed == {name for names in VICTIMS for name in names}:
        assert len(tasks) == len(VICTIMS) * (ORDERS_BEFORE + ORDERS_AFTER)
    # What is available follows from each bill, which the audit below compares; nothing may be held any more.
    assert account["held_credits_micro"] == 0
    assert all(each["state"] in ENDS for each in tasks)
    await verify(line)
    assert line.interrupt() == 0, line.said()
    record = line.record()
    assert not record.is_live
    assert {each.state for each in record.processes} == {"stopped"}


async def test_a_service_that_ends_at_every_start_is_given_up_and_the_rest_goes_on(tmp_path: Path) -> None:
    hopeless = {
        "WINNOW_ROUTER_CATALOGUE_FOLDER": str(tmp_path / "nowhere"),
        "WINNOW_LOCAL_FAILURES_MAX": "3",
    }
    with started_line(tmp_path / "line", hopeless) as line:
        router = line.state("router")
        assert (router.state, router.restarts, router.pid) == ("given up", 2, 0)
        assert router.last_exit is not None
        assert router.last_exit.status == 1
        rest = {each.name: each.state for each in line.record().processes if each.name != "router"}
        assert set(rest.values()) == {"ready"}
        said = line.said()
        assert "router is given up after 3 failures in a row; the rest goes on without it." in said
        assert "router.log" in said
        client = client_of(line)
        try:
            assert (await client.get("/v1/account"))["available_credits_micro"] > 0
        finally:
            await client.http.aclose()
        # Supervision of the others goes on, too.
        before = line.kill("simulator-fal")
        await eventually(lambda: line.came_back(before), within_s=WITHIN_S, every_s=0.2)
        assert line.state("router").state == "given up"
        line.process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(line.process.wait, 90) == 1
        assert "Given up while the line ran: router" in line.said()

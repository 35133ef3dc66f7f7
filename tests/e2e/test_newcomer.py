"""A newcomer's hour: the line that `winnow up` starts, every command against it, and the README's own lines."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from tests.support.eventually import eventually_sync
from tests.support.servers.handler import Handler, own_handler
from tests.support.servers.line import PROVIDERS, free_port
from winnow.local.stack import EmbeddedStack
from winnow.local.supervisor import stop_other

ROOT = Path(__file__).resolve().parents[2]
# A test starts up to ten processes of the command, and the first of them the whole line, on a machine that may be busy.
PATIENT = pytest.mark.timeout(900)
ORDER = ("--template", "studio_headshot", "--mode", "low_cost", "--prompt", "a friendly engineer")


@dataclass
class Newcomer:
    """A folder in which a newcomer works, and what the start of the line said."""

    folder: Path
    flagged: Handler
    named: Handler
    said: str = ""
    env: dict[str, str] = field(default_factory=dict)

    def run(self, *argv: str, status: int = 0, **env: str) -> str:
        """Run a program in the folder; return what it printed on standard output."""
        done = subprocess.run(
            argv,
            cwd=self.folder,
            env=self.env | env,
            capture_output=True,
            text=True,
            timeout=600,
            check=False,
        )
        assert done.returncode == status, f"{argv}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout + (done.stderr if status else "")

    def winnow(self, *arguments: str, status: int = 0, **env: str) -> str:
        """Run a command."""
        return self.run("winnow", *arguments, status=status, **env)

    def json(self, *arguments: str, **env: str) -> Any:
        """Run a command and read the JSON that it prints."""
        return json.loads(self.winnow(*arguments, "--json", status=0, **env))

    @contextlib.contextmanager
    def slow_providers(self) -> Iterator[None]:
        """Make every generation take a minute, so that an order is still under way when its client cancels it."""
        simulators = [
            process["address"]
            for process in self.json("status")["processes"]
            if process["name"].removeprefix("simulator-") in PROVIDERS
        ]
        assert len(simulators) == len(PROVIDERS)
        try:
            for address in simulators:
                httpx.post(f"{address}/_control", json={"latency_s": 60}).raise_for_status()
            yield
        finally:
            for address in simulators:
                httpx.post(f"{address}/_control", json={"latency_s": None}).raise_for_status()

    def order(self, count: int = 1) -> str:
        """Order as the demo account and follow to the end; return the task's id."""
        self.winnow("submit", *ORDER, "-k", str(count))
        return str(self.json("tasks", "list", "--limit", "1")[0]["id"])


def blocks(heading: str) -> list[str]:
    """Return the fenced shell blocks of a section of the README, as written."""
    section = (ROOT / "README.md").read_text().split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^```sh\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    folder = tmp_path_factory.mktemp("newcomer")
    (folder / ".venv").symlink_to(sys.prefix)
    env = {name: value for name, value in os.environ.items() if not name.startswith("WINNOW_")}
    env |= {"PATH": f"{Path(sys.prefix) / 'bin'}:{env['PATH']}", "COLUMNS": "250"}
    with own_handler() as flagged, own_handler() as named:
        person = Newcomer(folder, flagged, named, env=env)
        try:
            person.said = person.winnow(
                "up", "--background", "--api-port", str(free_port()), "--webhook-host", flagged.place,
                WINNOW_DELIVERY_WEBHOOK_ALLOWED_HOSTS=json.dumps([named.place]),
                WINNOW_INGEST_RATE_BURST_COUNT="401",
                WINNOW_ROUTER_MONGO_URI="mongodb://127.0.0.1:1",
            )  # fmt: skip
            yield person
            assert "is stopped" in person.winnow("down")
            assert "No line runs" in person.winnow("status", status=3)
        finally:
            stop_other(EmbeddedStack(folder / "var/winnow").state())


@PATIENT
def test_the_background_form_shows_each_step_and_names_a_setting_that_it_cannot_take(
    newcomer: Newcomer,
) -> None:
    for step in (
        "SeaweedFS starting",
        "Tansu ready after",
        "topics ready",
        "ledger starting",
        "ingest ready after",
    ):
        assert step in newcomer.said
    assert "WINNOW_ROUTER_MONGO_URI is set and not used" in newcomer.said
    assert "mongodb://127.0.0.1:1" not in newcomer.said
    assert "API:  http://127.0.0.1:" in newcomer.said


@PATIENT
def test_the_first_order_of_the_readme_works_as_it_is_written(newcomer: Newcomer) -> None:
    start, order = blocks("Your first order")
    assert start.split() == ["source", ".venv/bin/activate", "winnow", "up"]
    assert shutil.which("curl"), "the README's first order needs curl"
    said = newcomer.run("bash", "-euo", "pipefail", "-c", order)
    accepted = next(json.loads(line) for line in said.splitlines() if line.startswith("{"))
    assert (accepted["state"], accepted["k"]) == ("accepted", 2)
    assert "Granted 100 credits to acct_me." in said
    assert "contact sheet: var/sheets/" in said
    assert accepted["id"] in said
    pictures = list(newcomer.folder.glob("var/sheets/*/*.*"))
    assert len(pictures) == 2
    sheet = next(newcomer.folder.glob("var/sheets/*.html")).read_text()
    assert "a friendly engineer</blockquote>" in sheet
    assert {f'<a href="{picture.parent.name}/{picture.name}">Full size</a>' for picture in pictures} <= set(
        re.findall(r'<a href="[^"]+">Full size</a>', sheet)
    )


@PATIENT
def test_the_status_shows_every_process_with_its_address_and_its_own_pid(newcomer: Newcomer) -> None:
    shown = newcomer.json("status")
    processes = {process["name"]: process for process in shown["processes"]}
    assert {
        "SeaweedFS", "SecantusDB", "Tansu", "ledger", "scorer", "router", "delivery", "ingest",
        "simulator-fal", "simulator-replicate", "simulator-openai", "simulator-receiver",
    } == set(processes)  # fmt: skip
    assert all(process["is_ready"] for process in processes.values())
    for name in ("ledger", "scorer", "router", "delivery", "ingest"):
        command = Path(f"/proc/{processes[name]['pid']}/cmdline").read_bytes().split(b"\0")
        assert f"services.{name}.main".encode() in command
    assert newcomer.winnow("status", "--api").strip() == shown["api"] == processes["ingest"]["address"]
    text = newcomer.winnow("status")
    assert re.search(
        rf"ledger\s+service\s+http://127\.0\.0\.1:\d+\s+ready\s+pid {processes['ledger']['pid']}", text
    )


@PATIENT
def test_the_logs_are_shown_for_a_service_and_for_all(newcomer: Newcomer) -> None:
    newest = newcomer.winnow("logs", "ingest", "-n", "3").splitlines()
    assert 1 <= len(newest) <= 3
    assert all(json.loads(line) for line in newest)
    everything = newcomer.winnow("logs", "-n", "1")
    assert {"ingest", "ledger", "up"} <= {line.split(" | ")[0].strip() for line in everything.splitlines()}
    assert "There are: " in newcomer.winnow("logs", "nothing", status=1)


@PATIENT
def test_a_grant_shows_in_the_account_with_its_entry(newcomer: Newcomer) -> None:
    key = newcomer.winnow("keys", "create", "acct_grant", "--label", "mine").strip()
    newcomer.winnow("grant", "acct_grant", "2.5", "--source", "promo", "--expires", "2099-01-01")
    account = newcomer.json("account", "--entries", "5", WINNOW_API_KEY=key)
    assert account["available_credits_micro"] == 2_500_000
    assert [(grant["source"], grant["expires_at"][:10]) for grant in account["grants"]] == [
        ("promo", "2099-01-01")
    ]
    assert [entry["amount_credits_micro"] for entry in account["entries"]] == [2_500_000]
    text = newcomer.winnow("account", "--entries", "5", WINNOW_API_KEY=key)
    assert "2.50 credits" in text
    assert "2099-01-01" in text
    (listed,) = newcomer.json("keys", "list", "--account", "acct_grant")
    assert (listed["label"], "key" in listed) == ("mine", False)
    newcomer.winnow("keys", "revoke", listed["key_id"])
    assert "key_revoked" in eventually_sync(
        lambda: newcomer.winnow("account", status=1, WINNOW_API_KEY=key), within_s=30, every_s=0.5
    )


@PATIENT
def test_tasks_are_listed_billed_downloaded_and_cancelled(newcomer: Newcomer) -> None:
    task_id = newcomer.order(2)
    assert task_id in newcomer.winnow("tasks", "list", "--state", "delivered")
    assert newcomer.json("tasks", "bill", task_id)["delivered_count"] == 2
    assert "charged" in newcomer.winnow("tasks", "bill", task_id)
    paths = [newcomer.folder / path for path in newcomer.json("tasks", "download", task_id, "--to", "mine")]
    assert [path.name[:3] for path in paths] == ["001", "002"]
    digests = {hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}
    paths[0].write_bytes(b"broken off")
    newcomer.winnow("tasks", "download", task_id, "--to", "mine")
    assert {hashlib.sha256(path.read_bytes()).hexdigest() for path in paths} == digests
    with newcomer.slow_providers():
        waiting, state = newcomer.winnow("submit", *ORDER, "-k", "4", "--no-wait").split()
        assert state in {"accepted", "funded", "generating"}
        assert newcomer.json("tasks", "cancel", waiting)["task_id"] == waiting
    newcomer.winnow("watch", waiting, status=1)
    assert newcomer.json("tasks", "list", "--limit", "1")[0]["state"] == "cancelled"
    assert "has no outputs" in newcomer.winnow("tasks", "download", waiting, status=1)


@PATIENT
@pytest.mark.parametrize("way", ["flagged", "named"])
def test_an_own_handler_receives_signed_webhooks(newcomer: Newcomer, way: str) -> None:
    """Through `--webhook-host`, and through the environment, which the line used to overwrite."""
    handler: Handler = getattr(newcomer, way)
    made = newcomer.json("webhooks", "create", handler.url)
    assert made["endpoint_id"] in newcomer.winnow("webhooks", "list")
    assert handler.url in newcomer.winnow("webhooks", "show", made["endpoint_id"])
    task_id = newcomer.order()
    eventually_sync(lambda: handler.requests, within_s=60)
    headers, body = handler.requests[0]
    assert Webhook(made["secret"]).verify(body, headers)["data"]["task_id"] == task_id
    with pytest.raises(WebhookVerificationError):
        Webhook(made["secret"]).verify(body + b" ", headers)

    def delivered() -> dict[str, Any] | None:
        found = newcomer.json("webhooks", "deliveries", "--task", task_id)
        return next(
            (
                endpoint
                for endpoint in found
                if endpoint["endpoint_id"] == made["endpoint_id"] and endpoint["attempts"]
            ),
            None,
        )

    delivery = eventually_sync(delivered, within_s=60, every_s=0.5)
    assert delivery["attempts"][-1]["status"] == 204
    newcomer.winnow("webhooks", "redeliver", delivery["delivery_id"])
    eventually_sync(lambda: len(handler.requests) > 1, within_s=60)
    assert handler.requests[1][0]["webhook-id"] == headers["webhook-id"]
    newcomer.winnow("webhooks", "delete", made["endpoint_id"])
    assert "There is no endpoint" in newcomer.winnow("webhooks", "show", made["endpoint_id"], status=1)


@PATIENT
def test_a_handler_that_was_not_named_is_refused_with_what_to_do(newcomer: Newcomer) -> None:
    with own_handler() as unnamed:
        said = newcomer.winnow("webhooks", "create", unnamed.url, status=1)
    assert "url_not_allowed" in said
    assert "--webhook-host" in said


@PATIENT
def test_a_setting_of_the_environment_reaches_its_service(newcomer: Newcomer) -> None:
    pid = next(
        process["pid"] for process in newcomer.json("status")["processes"] if process["name"] == "ingest"
    )
    env = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    assert b"WINNOW_INGEST_RATE_BURST_COUNT=401" in env

"""Commands of the public API against a server on loopback: what they ask, what they print, how they refuse."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.unit.cli.fake_api import BILL, GRANT, TASK, Answers, api, output
from winnow.cli.answers import Bill, Task
from winnow.cli.client import Api
from winnow.cli.demo import _print_notices
from winnow.cli.errors import CliError
from winnow.cli.loopback import is_loopback
from winnow.cli.sheet_files import SheetOrder, write_sheet
from winnow.contracts.ids import Prefix, derive_id


def test_a_grant_is_repeated_under_one_key_until_the_ledger_has_booked_it() -> None:
    with api({GRANT: [(202, {"applied": False}), (202, {"applied": True, "grant_id": "g"})]}) as server:
        result = server.winnow("grant", "acct_me", "0.25", "--expires", "2099-01-01")
    assert (result.exit_code, result.output) == (
        0,
        "Granted 0.25 credits to acct_me, until 2099-01-01 00:00 UTC.\n",
    )
    first, second = server.requests
    assert first[1]["idempotency-key"] == second[1]["idempotency-key"]
    assert first[1]["authorization"] == "Bearer root"
    body = {"amount_credits_micro": 250_000, "source": "topup", "expires_at": "2099-01-01T00:00:00+00:00"}
    assert json.loads(first[2]) == json.loads(second[2]) == body


def test_a_grant_that_the_ledger_never_books_is_no_success() -> None:
    with api({GRANT: [(202, {"applied": False})]}) as server:
        result = server.winnow("grant", "acct_me", "1")
    assert result.exit_code == 1
    assert "not booked it yet" in result.output
    assert "winnow logs ledger" in result.output


def test_an_amount_that_is_none_is_refused_before_anything_is_asked() -> None:
    with api({}) as server:
        result = server.winnow("grant", "acct_me", "ten")
    assert result.exit_code == 1
    assert "Write it like 0.25." in result.output
    assert server.requests == []


def test_a_list_of_tasks_stops_at_the_limit_and_asks_for_the_state() -> None:
    page = {"tasks": [TASK, TASK | {"id": "task_2"}], "next_cursor": "more"}
    with api({"GET /v1/tasks": [(200, page)]}) as server:
        result = server.winnow("tasks", "list", "--limit", "1", "--state", "delivered", "--json")
    assert [line["id"] for line in json.loads(result.output)] == ["task_1"]
    assert len(server.requests) == 1
    assert "state=delivered" in server.requests[0][0]


def test_a_list_of_tasks_shows_labels_and_outputs() -> None:
    with api({"GET /v1/tasks": [(200, {"tasks": [TASK], "next_cursor": None})]}) as server:
        result = server.winnow("tasks", "list")
    for expected in ("task_1", "studio_headshot", "2 of 2", "spring [/x]", "2026-01-01 00:00"):
        assert expected in result.output


def test_a_bill_without_provider_costs_is_printed_without_them() -> None:
    with api({"GET /v1/tasks/task_1/bill": [(200, BILL)]}) as server:
        result = server.winnow("tasks", "bill", "task_1")
    assert result.exit_code == 0
    assert "0.12 credits" in result.output
    assert "Because." in result.output
    assert "USD" not in result.output


def test_a_cancel_says_what_it_did() -> None:
    answer = {"task_id": "task_1", "state": "cancelled", "complete": True, "detail": "Nothing was charged."}
    with api({"POST /v1/tasks/task_1/cancel": [(200, answer)]}) as server:
        result = server.winnow("tasks", "cancel", "task_1")
    assert result.output == "task_1 cancelled: Nothing was charged.\n"


def test_a_download_that_is_not_what_was_delivered_leaves_no_file(tmp_path: Path) -> None:
    answers: Answers = {"GET /file": [(200, b"other bytes")]}
    with api(answers) as server:
        outputs = {"outputs": [output(f"{server.url}/file", b"delivered bytes")]}
        answers["GET /v1/tasks/task_1/outputs"] = [(200, outputs)]
        result = server.winnow("tasks", "download", "task_1", "--to", str(tmp_path / "to"))
    assert result.exit_code == 1
    assert "not those that were delivered" in result.output
    assert list((tmp_path / "to").iterdir()) == []
    assert "authorization" not in server.requests[-1][1], "the key went to the object store"


def test_a_download_fetches_only_what_is_missing_or_broken(tmp_path: Path) -> None:
    answers: Answers = {"GET /1": [(200, b"one")], "GET /2": [(200, b"two")]}
    (tmp_path / "001.png").write_bytes(b"one")
    (tmp_path / "002.png").write_bytes(b"tw")
    with api(answers) as server:
        outputs = [output(f"{server.url}/2", b"two", 2), output(f"{server.url}/1", b"one", 1)]
        answers["GET /v1/tasks/task_1/outputs"] = [(200, {"outputs": outputs})]
        result = server.winnow("tasks", "download", "task_1", "--to", str(tmp_path), "--json")
    assert json.loads(result.output) == [str(tmp_path / "001.png"), str(tmp_path / "002.png")]
    assert (tmp_path / "002.png").read_bytes() == b"two"
    assert [request[0] for request in server.requests][1:] == ["GET /2"]


@pytest.mark.parametrize(
    ("outputs", "said"), [([], "has no outputs"), ([output(None, b"gone")], "has no link any more")]
)
def test_a_task_with_nothing_to_download_says_so(outputs: list[object], said: str, tmp_path: Path) -> None:
    with api({"GET /v1/tasks/task_1/outputs": [(200, {"outputs": outputs})]}) as server:
        result = server.winnow("tasks", "download", "task_1", "--to", str(tmp_path / "to"))
    assert result.exit_code == 1
    assert said in result.output


def test_an_endpoint_that_is_not_allowed_is_refused_with_the_option_that_allows_it() -> None:
    problem = {"code": "url_not_allowed", "detail": "The address must begin with https://."}
    with api({"POST /v1/webhook-endpoints": [(422, problem)]}) as server:
        result = server.winnow("webhooks", "create", "http://127.0.0.1:9/hook")
    assert result.exit_code == 1
    assert "url_not_allowed" in result.output
    assert "winnow up --webhook-host" in result.output


def test_an_endpoint_is_made_shown_and_deleted() -> None:
    endpoint = {
        "endpoint_id": "ep_1",
        "url": "https://x.test/",
        "event_types": [],
        "enabled": True,
        "created_at": "2026-01-01T00:00:00Z",
    }
    answers: Answers = {
        "POST /v1/webhook-endpoints": [(201, endpoint | {"secret": "whsec_x"})],
        "GET /v1/webhook-endpoints": [(200, {"endpoints": [endpoint]})],
        "DELETE /v1/webhook-endpoints/ep_1": [(204, b"")],
    }
    with api(answers) as server:
        assert server.winnow("webhooks", "create", "https://x.test/").output == "ep_1\nwhsec_x\n"
        shown = server.winnow("webhooks", "show", "ep_1").output
        listed = server.winnow("webhooks", "list").output
        missing = server.winnow("webhooks", "show", "ep_2")
        deleted = server.winnow("webhooks", "delete", "ep_1")
    assert "event_types: every end of a task" in shown
    assert "https://x.test/" in listed
    assert missing.exit_code == 1
    assert deleted.output == "ep_1 is deleted.\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("keys", "revoke"), "winnow keys list"),
        (("tasks", "cancel"), "winnow tasks list"),
        (("tasks", "bill"), "winnow tasks list"),
        (("tasks", "download"), "winnow tasks list"),
        (("watch",), "winnow tasks list"),
        (("webhooks", "delete"), "winnow webhooks list"),
        (("webhooks", "redeliver"), "winnow webhooks deliveries"),
    ],
)
def test_an_id_that_can_be_none_is_refused_before_anything_is_asked(
    words: tuple[str, ...], said: str
) -> None:
    with api({}) as server:
        empty = server.winnow(*words, "")
        path = server.winnow(*words, "../x")
    assert (empty.exit_code, path.exit_code) == (1, 1)
    assert "is empty." in empty.output
    assert "'../x' is no id of " in path.output
    assert said in empty.output
    assert server.requests == []


@pytest.mark.parametrize("prefix", Prefix)
def test_an_id_of_every_kind_is_asked_for(prefix: Prefix) -> None:
    name = derive_id(prefix, "x")
    with api({f"GET /v1/tasks/{name}/bill": [(200, BILL)]}) as server:
        assert server.winnow("tasks", "bill", name).exit_code == 0


def test_deliveries_show_every_attempt_and_can_be_sent_again() -> None:
    delivery = {
        "delivery_id": "dlv_1",
        "endpoint_id": "ep_1",
        "task_id": "task_1",
        "event_type": "task.delivered",
        "state": "pending",
        "attempts": [
            {"at": "2026-01-01T00:00:00Z", "status": 500, "reason": "server_error", "latency_ms": 3},
            {"at": "2026-01-01T00:00:02Z", "status": 0, "reason": "timed_out", "latency_ms": 9},
        ],
        "next_attempt_at": "2026-01-01T00:00:05Z",
    }
    answers: Answers = {
        "GET /v1/webhook-deliveries": [(200, {"deliveries": [delivery]})],
        "POST /v1/webhook-deliveries/dlv_1/redeliver": [(202, delivery)],
    }
    with api(answers) as server:
        shown = server.winnow("webhooks", "deliveries", "--task", "task_1").output
        again = server.winnow("webhooks", "redeliver", "dlv_1")
    assert "00:00:00 500 server error" in shown
    assert "00:00:02 none timed out" in shown
    assert shown.count("dlv_1") == 1
    assert "task_id=task_1" in server.requests[0][0]
    assert again.output == "dlv_1 is sent again.\n"


def test_an_account_shows_balance_grants_and_entries() -> None:
    account = {
        "account_id": "acct_me",
        "available_credits_micro": 1_500_000,
        "held_credits_micro": 0,
        "settled_credits_micro": 500_000,
        "grants": [
            {
                "grant_id": "grant_1",
                "source": "promo",
                "granted_credits_micro": 2_000_000,
                "left_credits_micro": 1_500_000,
                "expires_at": None,
            }
        ],
    }
    entry = {
        "entry_id": "ent_1",
        "kind": "grant",
        "amount_credits_micro": 2_000_000,
        "occurred_at": "2026-01-01T00:00:00Z",
        "task_id": None,
        "reason": "",
        "available_credits_micro": 2_000_000,
        "held_credits_micro": 0,
    }
    answers: Answers = {
        "GET /v1/account": [(200, account)],
        "GET /v1/account/entries": [(200, {"entries": [entry], "next_cursor": None})],
    }
    with api(answers) as server:
        text = server.winnow("account", "--entries", "3").output
        document = json.loads(server.winnow("account", "--json").output)
    for expected in ("acct_me", "1.50 credits", "promo", "never", "grant", "2026-01-01 00:00:00"):
        assert expected in text
    assert "limit=3" in server.requests[1][0]
    assert document == account


def test_a_key_that_is_refused_is_said_with_its_code() -> None:
    problem = {"code": "key_revoked", "detail": "This key was revoked."}
    with api({"GET /v1/account": [(401, problem)]}) as server:
        result = server.winnow("account")
    assert result.exit_code == 1
    assert "This key was revoked. (key_revoked)" in result.output
    assert "wk_mine" not in result.output


def test_keys_are_listed_as_json_without_those_that_are_revoked() -> None:
    key = {
        "key_id": "key_1",
        "account_id": "acct_me",
        "scopes": ["tasks:read"],
        "label": "",
        "created_at": "2026-01-01T00:00:00Z",
        "expires_at": None,
        "revoked_at": None,
    }
    revoked = key | {"key_id": "key_2", "revoked_at": "2026-01-02T00:00:00Z"}
    with api({"GET /v1/admin/keys": [(200, {"keys": [key, revoked]})]}) as server:
        valid = json.loads(server.winnow("keys", "list", "--json").output)
        everything = json.loads(server.winnow("keys", "list", "--json", "--revoked").output)
        text = server.winnow("keys", "list").output
    assert ([listed["key_id"] for listed in valid], len(everything)) == (["key_1"], 2)
    assert "key_1" in text
    assert "key_2" not in text


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
def test_what_goes_to_this_machine_goes_to_no_proxy(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers: Answers = {
        "GET /file": [(200, b"mine")],
        "GET /v1/admin/keys": [(200, {"keys": []})],
        "GET /_deliveries": [(200, [])],
    }
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    with api({}) as proxy, api(answers) as server:
        monkeypatch.setenv(variable, proxy.url)
        outputs = {"outputs": [output(f"{server.url}/file", b"mine")]}
        answers["GET /v1/tasks/task_1/outputs"] = [(200, outputs)]
        result = server.winnow("tasks", "download", "task_1", "--to", str(tmp_path))
        server.winnow("keys", "list", "--account", "acct_me")
        asyncio.run(_print_notices(server.url))
    assert result.exit_code == 0
    assert [request[0].split("?")[0] for request in server.requests] == [
        "GET /v1/tasks/task_1/outputs",
        "GET /file",
        "GET /v1/admin/keys",
        "GET /_deliveries",
    ]
    assert proxy.requests == []


@pytest.mark.parametrize(
    ("url", "is_there"),
    [
        ("http://127.0.0.1:8000", True),
        ("http://127.8.8.8", True),
        ("http://[::1]:8000/v1", True),
        ("http://LOCALHOST:1", True),
        ("http://api.localhost", True),
        ("https://api.example.com", False),
        ("http://10.0.0.1", False),
        ("http://127.0.0.1.example.com", False),
        ("http://localhost@example.com", False),
        ("http://[broken", False),
        ("", False),
    ],
)
def test_an_address_is_loopback_by_its_number_or_its_name(url: str, is_there: bool) -> None:
    assert is_loopback(url) is is_there


@pytest.mark.parametrize("task_id", ["../../x", "/tmp/x", "task_1", f"{derive_id(Prefix.task, 1)}\n"])
def test_a_sheet_is_not_named_after_an_id_that_is_no_tasks(task_id: str, tmp_path: Path) -> None:
    sheets = tmp_path / "a" / "b" / "sheets"
    order = SheetOrder(Task.model_validate(TASK | {"id": task_id}), Bill.model_validate(BILL), "")
    with api({}) as server, pytest.raises(CliError, match="no task's"):
        asyncio.run(write_sheet(Api(server.url, "wk_mine"), order, sheets))
    assert server.requests == []
    assert list(tmp_path.iterdir()) == []


async def test_a_sheet_is_named_after_its_task(tmp_path: Path) -> None:
    task_id = derive_id(Prefix.task, 1)
    order = SheetOrder(Task.model_validate(TASK | {"id": task_id}), Bill.model_validate(BILL), "")
    path = f"GET /v1/tasks/{task_id}"
    answers: Answers = {
        f"{path}/candidates": [(200, {"candidates": []})],
        f"{path}/outputs": [(200, {"outputs": []})],
    }
    with api(answers) as server:
        client = Api(server.url, "wk_mine")
        written = await write_sheet(client, order, tmp_path)
        await client.close()
    assert written == tmp_path / f"{task_id}.html"
    assert written.is_file()

"""Requests of the commands: which go to a proxy, and which ids and addresses are asked for at all."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.unit.cli.fake_api import BILL, Answers, api, output
from winnow.cli.demo import _print_notices
from winnow.cli.loopback import is_loopback
from winnow.contracts.ids import Prefix, derive_id


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

"""Commands for tasks against a server on loopback: lists, bills, cancels, downloads and sheets."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.unit.cli.fake_api import BILL, TASK, Answers, api, output
from winnow.cli.answers import Bill, Task
from winnow.cli.client import Api
from winnow.cli.errors import CliError
from winnow.cli.sheet_files import SheetOrder, write_sheet
from winnow.contracts.ids import Prefix, derive_id


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

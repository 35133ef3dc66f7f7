"""`winnow tasks`: the tasks of an account, their bills and their outputs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from winnow.cli.documents import checked_id, show_document
from winnow.cli.errors import CliError, command
from winnow.cli.lazy import group
from winnow.cli.options import DATA_DIR, ApiKey, ApiUrl, DataDir, Json
from winnow.cli.terminal import harmless

if TYPE_CHECKING:
    from winnow.cli.downloads import DownloadedFile

app = group("Tasks: list, cancel, bill, download.")

TaskId = Annotated[str, typer.Argument(metavar="TASK", help="The task's id.")]


@app.command("list")
@command
async def list_tasks(
    *,
    state: Annotated[str, typer.Option(help="Only in this state, like delivered.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="How many, newest first.")] = 20,
    api_url: ApiUrl = "",
    api_key: ApiKey = "",
    data_dir: DataDir = DATA_DIR,
    as_json: Json = False,
) -> None:
    """List your tasks, newest first."""
    from winnow.cli.connection import connected

    found: list[dict[str, Any]] = []
    async with connected(api_url, api_key, data_dir) as api:
        filters = {"state": state} if state else {}
        async for task in api.pages("/v1/tasks", "tasks", **filters):
            found.append(task)
            if len(found) == limit:
                break
    show_document(found, _print, as_json=as_json)


@app.command("cancel")
@command
async def cancel(
    task_id: TaskId,
    *,
    api_url: ApiUrl = "",
    api_key: ApiKey = "",
    data_dir: DataDir = DATA_DIR,
    as_json: Json = False,
) -> None:
    """Cancel a task: nothing more is bought, and the rest of its credits is released."""
    from winnow.cli.connection import connected

    async with connected(api_url, api_key, data_dir) as api:
        answer = await api.post(f"{_path(task_id)}/cancel", {})
    show_document(answer, _print_cancel, as_json=as_json)


@app.command("bill")
@command
async def bill(
    task_id: TaskId,
    *,
    api_url: ApiUrl = "",
    api_key: ApiKey = "",
    data_dir: DataDir = DATA_DIR,
    as_json: Json = False,
) -> None:
    """Print the explained bill of a task."""
    from winnow.cli.connection import connected

    async with connected(api_url, api_key, data_dir) as api:
        document = await api.get(f"{_path(task_id)}/bill")
    show_document(document, _print_bill, as_json=as_json)


@app.command("download")
@command
async def download(
    task_id: TaskId,
    *,
    to: Annotated[
        Path | None, typer.Option("--to", help="The folder; without it one named after the task.")
    ] = None,
    api_url: ApiUrl = "",
    api_key: ApiKey = "",
    data_dir: DataDir = DATA_DIR,
    as_json: Json = False,
) -> None:
    """Download the outputs of a task in full size and compare each with its sha256.

    Files that are there already and whole are left alone, so that a broken download is completed by another.
    """
    from winnow.cli.connection import connected
    from winnow.cli.downloads import download_outputs

    async with connected(api_url, api_key, data_dir) as api:
        files = await download_outputs(api, _checked(task_id), to or Path(task_id))
    if not files:
        raise CliError(f"{task_id} has no outputs.", hint=f"`winnow watch {task_id}` shows how it ended.")
    show_document([str(file.path) for file in files], lambda _: _print_files(files), as_json=as_json)


def _checked(task_id: str) -> str:
    return checked_id(task_id, "a task", "winnow tasks list")


def _path(task_id: str) -> str:
    return f"/v1/tasks/{_checked(task_id)}"


def _print_cancel(answer: dict[str, Any]) -> None:
    typer.echo(harmless(f"{answer['task_id']} {answer['state']}: {answer['detail']}"))


def _print_bill(document: dict[str, Any]) -> None:
    from winnow.cli.answers import Bill
    from winnow.cli.report import print_bill

    print_bill(Bill.model_validate(document))


def _print_files(files: Sequence[DownloadedFile]) -> None:
    for file in files:
        typer.echo(f"{file.path}  {file.output.width} x {file.output.height}, {file.output.size_bytes} bytes")


def _print(found: list[dict[str, Any]]) -> None:
    from winnow.cli.answers import Task
    from winnow.cli.console import print_list

    columns = ("task", "state", "template", "mode", "outputs", "placed", "label")
    rows = [
        (
            task.id,
            task.state.replace("_", " "),
            task.template.name,
            task.mode,
            f"{task.outputs_count} of {task.k}",
            f"{task.created_at:%Y-%m-%d %H:%M}" if task.created_at else "",
            task.label or "",
        )
        for task in map(Task.model_validate, found)
    ]
    print_list(columns, rows)

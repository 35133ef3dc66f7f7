"""`winnow submit` and `winnow watch`: place an order, follow it, print how it ended."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from winnow.cli.answers import Task
from winnow.cli.client import Api
from winnow.cli.options import DATA_DIR, ApiKey, ApiUrl, DataDir
from winnow.cli.place import Place, address, secret
from winnow.cli.report import report
from winnow.cli.trouble import Trouble, command, out
from winnow.cli.watching import Watch, Watched
from winnow.contracts.money import MICRO

_DELIVERED: Final = frozenset({"delivered", "partially_delivered"})
_SLACK_S: Final = 120.0
"""How long after its deadline a task is still watched."""

Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the task to its end.")]
Sheets = Annotated[
    Path | None,
    typer.Option(
        "--sheets", help="Folder for the contact sheet; needs a key with the scope operator for pictures."
    ),
]


@command
async def submit(  # noqa: PLR0913 (each is an option of the command)
    *,
    template: Annotated[str, typer.Option(help="A template's name.")],
    k: Annotated[int, typer.Option("--k", "-k", help="How many outputs.")],
    prompt: Annotated[str, typer.Option(help="What to make.")],
    mode: Annotated[str, typer.Option(help="stable, fast or low_cost.")] = "low_cost",
    negative_prompt: Annotated[str, typer.Option(help="What to avoid.")] = "",
    profile: Annotated[str, typer.Option(help="Quality profile; the template's own by default.")] = "",
    cost_cap: Annotated[
        str, typer.Option(help="Most that may be spent at providers, in USD, like 0.25.")
    ] = "",
    deadline_s: Annotated[int, typer.Option(help="Seconds until it must have ended; 0 for the default.")] = 0,
    label: Annotated[str, typer.Option(help="Your own name for it.")] = "",
    copy_text: Annotated[
        str,
        typer.Option(
            "--copy", help="Words the pictures must show; \\n begins a line. Name them in the prompt too."
        ),
    ] = "",
    brand_colours: Annotated[
        list[str] | None,
        typer.Option("--brand-colour", help="A colour they must show, like #1b4d3e; may be repeated."),
    ] = None,
    idempotency_key: Annotated[str, typer.Option(help="The same key is one order; made up when empty.")] = "",
    wait: Wait = True,
    sheets: Sheets = None,
    api_url: ApiUrl = "",
    api_key: ApiKey = "",
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Order K outputs and, unless told otherwise, follow the task to its end."""
    body: dict[str, Any] = {"template": template, "mode": mode, "k": k, "prompt": prompt}
    optional: dict[str, Any] = {
        "negative_prompt": negative_prompt,
        "profile": profile,
        "cost_cap_usd_micro": usd_micro(cost_cap) if cost_cap else None,
        "deadline_s": deadline_s,
        "label": label,
        "copy_text": copy_text.replace("\\n", "\n"),
        "brand_colours": brand_colours,
    }
    body |= {name: value for name, value in optional.items() if value}
    async with connected(api_url, api_key, data_dir) as api:
        task = await place_order(api, body, idempotency_key)
        if not wait:
            out.print(f"{task.id} {task.state}", markup=False)
            return
        await follow(api, task, sheets)


@command
async def watch(
    task_id: Annotated[str, typer.Argument(metavar="TASK", help="The task's id.")],
    *,
    sheets: Sheets = None,
    api_url: ApiUrl = "",
    api_key: ApiKey = "",
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Follow a task to its end and print how it ended; an ended one is printed at once."""
    async with connected(api_url, api_key, data_dir) as api:
        await follow(api, Task.model_validate(await api.get(f"/v1/tasks/{task_id}")), sheets)


@asynccontextmanager
async def connected(api_url: str, api_key: str, data_dir: Path) -> AsyncIterator[Api]:
    """Connect to the API that was named, or to the embedded one."""
    kept = Place.read(data_dir)
    url = address(api_url, kept.api_url, "the API", "WINNOW_API_URL", data_dir)
    # The kept key belongs to the embedded API alone and is not sent anywhere else.
    mine = kept.api_key if url == kept.api_url else ""
    api = Api(url, secret(api_key, mine, "API key", "WINNOW_API_KEY"))
    try:
        yield api
    finally:
        await api.close()


async def place_order(api: Api, body: dict[str, Any], idempotency_key: str = "") -> Task:
    """Place an order; raises ApiTrouble with the API's own sentence when it is refused."""
    return Task.model_validate(await api.post("/v1/tasks", body, idempotency_key or secrets.token_hex(16)))


async def follow(api: Api, task: Task, sheets: Path | None) -> Watched:
    """Show a task until its end and print the report; raises Trouble when nothing was delivered."""
    watched = await Watch(api, task).to_the_end(_SLACK_S)
    await report(api, watched, sheets)
    if watched.task.state not in _DELIVERED:
        end = watched.task.end
        reason = (end.code or end.reason or "") if end else ""
        raise Trouble(f"The task ended as {watched.task.state}{f' ({reason})' if reason else ''}.")
    return watched


def usd_micro(text: str) -> int:
    """Read an amount of dollars exactly; raises Trouble for text that is no amount of whole micro-dollars."""
    try:
        amount = Decimal(text) * MICRO
    except InvalidOperation:
        raise Trouble(f"{text!r} is no amount in USD; write it like 0.25.") from None
    if not amount.is_finite() or amount <= 0 or amount != amount.to_integral_value():
        raise Trouble(f"{text} USD is not a positive amount with at most six decimals.")
    return int(amount)

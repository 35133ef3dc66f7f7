"""`winnow submit` and `winnow watch`: place an order, follow it, print how it ended."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from winnow.cli.documents import checked_id
from winnow.cli.errors import command
from winnow.cli.options import DATA_DIR, ApiKey, ApiUrl, DataDir

Wait = Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the task to its end.")]
Sheets = Annotated[
    Path | None,
    typer.Option(
        "--sheets",
        help="Folder for a contact sheet with the delivered pictures in full size; the others need the scope operator.",
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
    """Order K outputs and follow the task to its end; --no-wait prints its id and state instead."""
    from winnow.cli.amounts import micro_of
    from winnow.cli.connection import connected
    from winnow.cli.task_orders import follow, place_order

    body: dict[str, Any] = {"template": template, "mode": mode, "k": k, "prompt": prompt}
    optional: dict[str, Any] = {
        "negative_prompt": negative_prompt,
        "profile": profile,
        "cost_cap_usd_micro": micro_of(cost_cap, "USD") if cost_cap else None,
        "deadline_s": deadline_s,
        "label": label,
        "copy_text": copy_text.replace("\\n", "\n"),
        "brand_colours": brand_colours,
    }
    body |= {name: value for name, value in optional.items() if value}
    async with connected(api_url, api_key, data_dir) as api:
        task = await place_order(api, body, idempotency_key)
        if not wait:
            typer.echo(f"{task.id} {task.state}")
            return
        await follow(api, task, sheets, prompt=prompt)


@command
async def watch(
    task_id: Annotated[str, typer.Argument(metavar="TASK", help="The task's id.")],
    *,
    sheets: Sheets = None,
    api_url: ApiUrl = "",
    api_key: ApiKey = "",
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Follow a task to its end and print how it ended; an ended task is printed at once."""
    from winnow.cli.answers import Task
    from winnow.cli.connection import connected
    from winnow.cli.task_orders import follow

    async with connected(api_url, api_key, data_dir) as api:
        task = await api.get(f"/v1/tasks/{checked_id(task_id, 'a task', 'winnow tasks list')}")
        await follow(api, Task.model_validate(task), sheets)

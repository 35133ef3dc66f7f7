"""The files of a contact sheet: the sheet itself, and a folder of the delivered pictures in full size."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from pydantic import TypeAdapter, ValidationError

from winnow.cli.answers import Bill, Candidate, Task
from winnow.cli.client import Api, ApiError
from winnow.cli.downloads import DownloadedFile, download_outputs
from winnow.cli.errors import CliError
from winnow.cli.live import credits_
from winnow.cli.sheet import FullSize, Heading, Measure, Picture, contact_sheet, thumbnail_of
from winnow.contracts.ids import TaskId

_PREVIEWS_AT_ONCE: Final = 4
_TASK_ID: Final = TypeAdapter[str](TaskId)


@dataclass(frozen=True, slots=True)
class SheetOrder:
    """An ended task with its bill; ``prompt`` is empty where only the one who ordered knows it."""

    task: Task
    bill: Bill
    prompt: str


async def write_sheet(api: Api, order: SheetOrder, sheets: Path) -> Path:
    """Write the contact sheet of a task, and its outputs in full size into a folder next to it.

    A picture that cannot be had is shown as missing. Raises CliError for an id that is no task's: files are
    named after it.
    """
    task = order.task
    try:
        _TASK_ID.validate_python(task.id)
    except ValidationError as error:
        raise CliError("The API gave an id that is no task's; nothing is written.") from error
    candidates = [
        Candidate.model_validate(document)
        async for document in api.pages(f"/v1/tasks/{task.id}/candidates", "candidates")
    ]
    files = await _delivered(api, task.id, sheets / task.id)
    thumbnails = await _thumbnails(api, task.id, candidates, files)
    price = credits_(order.bill.price_per_output_credits_micro)
    pictures = [
        picture_of(candidate, thumbnail, files.get(candidate.candidate_id), price)
        for candidate, thumbnail in zip(candidates, thumbnails, strict=True)
    ]
    path = sheets / f"{task.id}.html"
    text = contact_sheet(heading_of(order, len(candidates)), pictures)

    def write() -> None:
        sheets.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    await asyncio.to_thread(write)
    return path


def heading_of(order: SheetOrder, candidates_count: int) -> Heading:
    """Return what stands above the pictures."""
    task, bill = order.task, order.bill
    rounds = f"{len(task.rounds)} round{'' if len(task.rounds) == 1 else 's'}"
    ended_at = task.end.at if task.end else None
    took = "" if task.took_s is None else f"{task.took_s:.1f} s"
    return Heading(
        title=task.label or f"{task.k} × {task.template.name}",
        outcome=f"{task.state.replace('_', ' ')}: {task.outputs_count} of {task.k} outputs",
        prompt=order.prompt,
        facts=(
            ("order", f"{task.k} × {task.template.name}, {task.mode}"),
            ("label", task.label or ""),
            ("ordered", _moment(task.created_at)),
            ("ended", _moment(ended_at)),
            ("took", took),
            ("charged", credits_(bill.charged_credits_micro)),
            ("price each", credits_(bill.price_per_output_credits_micro)),
            ("candidates", f"{candidates_count} in {rounds}"),
            ("quality profile", f"{task.profile.name} version {task.profile.version}"),
            ("task", task.id),
        ),
    )


def picture_of(
    candidate: Candidate, thumbnail: bytes | None, file: DownloadedFile | None, price: str
) -> Picture:
    """Put a candidate on the sheet; ``price`` is shown for a delivered picture alone."""
    set_aside = candidate.set_aside_reason
    reasons: Sequence[str] = [set_aside] if set_aside else candidate.reasons
    return Picture(
        candidate_id=candidate.candidate_id,
        state=candidate.state,
        round_index=candidate.round_index or 0,
        offering=candidate.offering or "",
        score=candidate.score,
        rank=candidate.rank,
        reasons=reasons,
        measures=[
            Measure(
                measured.name,
                measured.status,
                measured.score,
                measured.threshold,
                measured.required,
                measured.passed,
            )
            for measured in candidate.dimensions
        ],
        thumbnail=thumbnail,
        price=price if candidate.state == "delivered" else "",
        full_size=None if file is None else _full_size(file),
    )


async def _delivered(api: Api, task_id: str, folder: Path) -> Mapping[str, DownloadedFile]:
    """Download the outputs and return them by candidate; nothing when they cannot be had."""
    try:
        files = await download_outputs(api, task_id, folder)
    except CliError:
        return {}
    return {file.output.candidate_id: file for file in files}


async def _thumbnails(
    api: Api, task_id: str, candidates: Sequence[Candidate], files: Mapping[str, DownloadedFile]
) -> list[bytes | None]:
    """Make a thumbnail of each candidate: from its own file, else from the preview that operators may see."""
    gate = asyncio.Semaphore(_PREVIEWS_AT_ONCE)

    async def thumbnail(candidate: Candidate) -> bytes | None:
        file = files.get(candidate.candidate_id)
        if file is None and candidate.width is None:
            return None
        async with gate:
            try:
                if file is not None:
                    content = await asyncio.to_thread(file.path.read_bytes)
                else:
                    path = f"/v1/tasks/{task_id}/candidates/{candidate.candidate_id}/preview"
                    content = await api.get_bytes(path)
                return await asyncio.to_thread(thumbnail_of, content)
            except (ApiError, OSError, ValueError, SyntaxError):
                # A candidate that the scorer refused may be no picture that can be read.
                return None

    return list(await asyncio.gather(*map(thumbnail, candidates)))


def _full_size(file: DownloadedFile) -> FullSize:
    output = file.output
    href = f"{file.path.parent.name}/{file.path.name}"
    return FullSize(href, output.width, output.height, output.size_bytes)


def _moment(at: datetime | None) -> str:
    return "" if at is None else f"{at:%Y-%m-%d %H:%M:%S} UTC"

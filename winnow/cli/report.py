"""What is printed when a task has ended: the funnel with its reasons, the routes, the bill, the links."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from winnow.cli.answers import Bill, Candidate, OutputLink, Task
from winnow.cli.client import Api, ApiTrouble
from winnow.cli.live import STATES, amount, credits_, reason_words, usd
from winnow.cli.sheet import Measure, Picture, contact_sheet, thumbnail_of
from winnow.cli.trouble import out
from winnow.cli.watching import Watched

_PREVIEWS_AT_ONCE = 4


async def report(api: Api, watched: Watched, sheets: Path | None) -> Bill:
    """Print everything about an ended task; write its contact sheet below ``sheets`` unless that is None."""
    task = watched.task
    bill = Bill.model_validate(await api.get(f"/v1/tasks/{task.id}/bill"))
    links = await api.get(f"/v1/tasks/{task.id}/outputs")
    took_s = watched.elapsed_s if task.took_s is None else task.took_s
    out.print(f"\n[bold]{task.state.replace('_', ' ')}[/] after {took_s:.1f} s   {task.id}")
    if task.end is not None and (task.end.code or task.end.reason):
        out.print(f"reason: {task.end.code or task.end.reason}", markup=False)
    out.print(funnel_table(task))
    out.print(route_table(bill))
    out.print(bill_table(bill))
    for line in bill.explanation:
        out.print(Padding(Text(line), (0, 0, 0, 2)))
    print_links([OutputLink.model_validate(one) for one in links["outputs"]])
    if sheets is not None:
        path = await write_sheet(api, task, sheets)
        out.print(f"contact sheet: {path}", markup=False, soft_wrap=True)
    return bill


def funnel_table(task: Task) -> Table:
    """Show how many candidates reached which state, and why the others failed."""
    table = Table("candidates", "count", title="Funnel", title_justify="left")
    total = sum(task.funnel.values())
    table.add_row("made in all", str(total))
    for state in STATES:
        if task.funnel.get(state):
            table.add_row(state.replace("_", " "), str(task.funnel[state]))
    for reason, count in task.failure_reasons.items():
        table.add_row(f"  {reason_words(reason)}", str(count), style="red")
    return table


def route_table(bill: Bill) -> Table:
    """Show what each offering did and cost, in USD."""
    table = Table(title="Routes, costs in USD", title_justify="left")
    table.add_column("provider")
    for name in ("attempts", "passed", "expected", "actual", "per accepted"):
        table.add_column(name, justify="right")
    for one in bill.routes:
        failed = f" ({one.failed_attempts_count} failed)" if one.failed_attempts_count else ""
        per_accepted = one.cost_per_accepted_usd_micro
        table.add_row(
            f"{one.provider}\n[dim]{one.offering}[/]",
            f"{one.attempts_count}{failed}",
            f"{one.passed_count} of {one.candidates_count}",
            amount(one.expected_cost_usd_micro),
            amount(one.actual_cost_usd_micro),
            "none accepted" if per_accepted is None else amount(per_accepted),
        )
    return table


def bill_table(bill: Bill) -> Table:
    """Show what was promised, delivered, charged and spent, amounts exact."""
    table = Table.grid(padding=(0, 2))
    table.title, table.title_justify = "Bill" if bill.is_final else "Bill, still open", "left"
    rows = [
        ("promised", f"{bill.promised_count} at {credits_(bill.price_per_output_credits_micro)} each"),
        ("price rule", bill.price_rule),
        ("delivered", str(bill.delivered_count)),
        ("reserved", credits_(bill.reserved_credits_micro)),
        ("charged", credits_(bill.charged_credits_micro)),
        ("released", credits_(bill.released_credits_micro)),
    ]
    if bill.refunded_credits_micro:
        rows.append(("refunded", credits_(bill.refunded_credits_micro)))
    expected = f"expected {usd(bill.expected_cost_usd_micro)}"
    rows.append(("provider cost", f"{usd(bill.actual_cost_usd_micro)} ({expected})"))
    if bill.cost_per_delivered_usd_micro is not None:
        rows.append(("  per output", usd(bill.cost_per_delivered_usd_micro)))
    if bill.margin is not None:
        rows.append(("margin", usd(bill.margin.margin_usd_micro)))
    for name, value in rows:
        table.add_row(f"  {name}", Text(value))
    return table


def print_links(links: Sequence[OutputLink]) -> None:
    """Print each link alone on a line that is never broken, so that a terminal and a script can pick it up."""
    for link in links:
        if link.url:
            minutes = (link.expires_in_s or 0) // 60
            out.print(f"[bold]#{link.rank}[/] score {link.score:.1f}, link good for {minutes} min")
            out.print(link.url, markup=False, soft_wrap=True)


async def write_sheet(api: Api, task: Task, sheets: Path) -> Path:
    """Write the contact sheet of a task; a picture that cannot be had is shown as missing."""
    found = [
        Candidate.model_validate(one)
        async for one in api.pages(f"/v1/tasks/{task.id}/candidates", "candidates")
    ]
    gate = asyncio.Semaphore(_PREVIEWS_AT_ONCE)

    async def thumbnail(one: Candidate) -> bytes | None:
        if one.width is None:
            return None
        async with gate:
            try:
                picture = await api.get_bytes(f"/v1/tasks/{task.id}/candidates/{one.candidate_id}/preview")
                return await asyncio.to_thread(thumbnail_of, picture)
            except (ApiTrouble, OSError):
                return None

    thumbnails = await asyncio.gather(*(thumbnail(one) for one in found))
    pictures = [picture_of(one, made) for one, made in zip(found, thumbnails, strict=True)]
    title = f"{task.k} × {task.template.name}, {task.mode}"
    lines = [
        f"{task.id}: {task.state.replace('_', ' ')}, {task.outputs_count} of {task.k} outputs",
        (
            f"{len(found)} candidates in {len(task.rounds)} round{'' if len(task.rounds) == 1 else 's'}; quality profile"
            f" {task.profile.name} version {task.profile.version}"
        ),
    ]
    path = sheets / f"{task.id}.html"

    def keep() -> None:
        sheets.mkdir(parents=True, exist_ok=True)
        path.write_text(contact_sheet(title, lines, pictures), encoding="utf-8")

    await asyncio.to_thread(keep)
    return path


def picture_of(candidate: Candidate, thumbnail: bytes | None) -> Picture:
    """Put a candidate on the sheet."""
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
            Measure(one.name, one.status, one.score, one.threshold, one.required, one.passed)
            for one in candidate.dimensions
        ],
        thumbnail=thumbnail,
    )

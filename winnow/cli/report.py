"""Report of a task that has ended: the funnel with its reasons, the routes, the bill, the links."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from winnow.cli.answers import Bill, OutputLink, Route, Task
from winnow.cli.client import Api
from winnow.cli.console import out
from winnow.cli.live import STATES, amount, credits_, reason_words, usd
from winnow.cli.watching import Watched

_ON_THEIR_WAY: Final = ("planned", "generating")


async def report(api: Api, watched: Watched, sheets: Path | None, prompt: str = "") -> Bill:
    """Print everything about an ended task; write its contact sheet below ``sheets`` unless that is None.

    ``prompt`` stands on the sheet; the API does not return prompts.
    """
    task = watched.task
    bill = Bill.model_validate(await api.get(f"/v1/tasks/{task.id}/bill"))
    links = await api.get(f"/v1/tasks/{task.id}/outputs")
    took_s = watched.elapsed_s if task.took_s is None else task.took_s
    out.print(f"\n[bold]{task.state.replace('_', ' ')}[/] after {took_s:.1f} s   {task.id}")
    if task.end is not None and (task.end.code or task.end.reason):
        out.print(f"reason: {task.end.code or task.end.reason}", markup=False)
    out.print(funnel_table(task))
    print_bill(bill)
    print_links([OutputLink.model_validate(output) for output in links["outputs"]])
    if sheets is not None:
        from winnow.cli.sheet_files import SheetOrder, write_sheet

        path = await write_sheet(api, SheetOrder(task, bill, prompt), sheets)
        out.print(f"contact sheet: {path}", markup=False, soft_wrap=True)
    return bill


def funnel_table(task: Task) -> Table:
    """Show how many candidates reached which state, and why the others failed.

    A complete task has no candidate on its way: those were planned and never made.
    """
    table = Table("candidates", "count", title="Funnel", title_justify="left")
    counts = {state: task.funnel.get(state, 0) for state in STATES}
    never_made = sum(counts.pop(state) for state in _ON_THEIR_WAY) if task.complete else 0
    table.add_row("planned in all", str(sum(counts.values()) + never_made))
    for name, count in ({"never made": never_made} | counts).items():
        if count:
            table.add_row(name.replace("_", " "), str(count))
    for reason, count in task.failure_reasons.items():
        table.add_row(f"  {reason_words(reason)}", str(count), style="red")
    return table


def route_table(routes: Sequence[Route]) -> Table:
    """Show what each offering did and cost, in USD."""
    table = Table(title="Routes, costs in USD", title_justify="left")
    table.add_column("provider")
    for name in ("attempts", "passed", "expected", "actual", "per accepted"):
        table.add_column(name, justify="right")
    for route in routes:
        failed = f" ({route.failed_attempts_count} failed)" if route.failed_attempts_count else ""
        per_accepted = route.cost_per_accepted_usd_micro
        table.add_row(
            f"{route.provider}\n[dim]{route.offering}[/]",
            f"{route.attempts_count}{failed}",
            f"{route.passed_count} of {route.candidates_count}",
            amount(route.expected_cost_usd_micro),
            amount(route.actual_cost_usd_micro),
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
    if bill.actual_cost_usd_micro is not None and bill.expected_cost_usd_micro is not None:
        expected = f"expected {usd(bill.expected_cost_usd_micro)}"
        rows.append(("provider cost", f"{usd(bill.actual_cost_usd_micro)} ({expected})"))
    if bill.cost_per_delivered_usd_micro is not None:
        rows.append(("  per output", usd(bill.cost_per_delivered_usd_micro)))
    if bill.margin is not None:
        rows.append(("margin", usd(bill.margin.margin_usd_micro)))
    for name, value in rows:
        table.add_row(f"  {name}", Text(value))
    return table


def print_bill(bill: Bill) -> None:
    """Print the routes, where the key may see them, the amounts and the explanation."""
    if bill.routes is not None:
        out.print(route_table(bill.routes))
    out.print(bill_table(bill))
    for line in bill.explanation:
        out.print(Padding(Text(line), (0, 0, 0, 2)))


def print_links(links: Sequence[OutputLink]) -> None:
    """Print each link alone on a line that is never broken, so that a terminal and a script can pick it up."""
    for link in links:
        if link.url:
            minutes = (link.expires_in_s or 0) // 60
            out.print(f"[bold]#{link.rank}[/] score {link.score:.1f}, link good for {minutes} min")
            out.print(link.url, markup=False, soft_wrap=True)

"""Live view of a task: the funnel, the round, spend against the cap, the providers, the clock."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from winnow.cli.answers import Offering, Spend, Task
from winnow.contracts.money import format_micro

STATES: Final = {
    "planned": "dim",
    "generating": "cyan",
    "generated": "blue",
    "generation_failed": "red",
    "rejected": "red",
    "passed": "green",
    "set_aside": "yellow",
    "selected": "bold green",
    "delivered": "bold green",
}
"""The states of a candidate in the order of its way, with their colour."""
_BAR_WIDTH: Final = 30
_COUNT_WIDTH: Final = 3
"""Room for the counts, so that the bars stay where they are when one more digit comes."""
_PPM_PER_PERCENT: Final = 10_000
_BREAKERS: Final = {"closed": "green", "half_open": "yellow", "open": "red"}


def screen(task: Task, offerings: Sequence[Offering], elapsed_s: float) -> RenderableType:
    """Draw a running task."""
    parts: list[RenderableType] = [heading(task, elapsed_s), funnel_bars(task.funnel)]
    if task.spend is not None:
        parts.append(spend_bar(task.spend))
    if offerings:
        parts.append(health_table(offerings))
    return Panel(
        Group(*parts), title=f"[bold]{task.k} × {task.template.name}[/], {task.mode}", title_align="left"
    )


def heading(task: Task, elapsed_s: float) -> Text:
    """Return the state, the round and the time in one line."""
    round_word = f"round {task.rounds[-1].round_index + 1}" if task.rounds else "no round yet"
    done = sum(task.funnel.get(state, 0) for state in ("passed", "set_aside", "selected", "delivered"))
    text = Text(f"{task.state.replace('_', ' ')}", style="bold")
    text.append(f"   {round_word}   {done} passed of {task.k} wanted   {elapsed_s:.1f} s", style="not bold")
    return text


def funnel_bars(funnel: dict[str, int]) -> Table:
    """Draw the candidates by state, one bar each."""
    table = Table.grid(padding=(0, 1))
    table.add_column(min_width=max(map(len, STATES)))
    table.add_column(min_width=_COUNT_WIDTH, justify="right")
    table.add_column()
    most = max(funnel.values(), default=0)
    for state, style in STATES.items():
        count = funnel.get(state, 0)
        width = -(-count * _BAR_WIDTH // most) if most else 0
        table.add_row(
            Text(state.replace("_", " "), style="" if count else "dim"),
            Text(str(count) if count else "·", style=style),
            Text("█" * width, style=style),
        )
    return table


def spend_bar(spend: Spend) -> Text:
    """Draw what was spent on providers against the cap."""
    spent, cap = spend.actual_usd_micro, spend.cap_usd_micro
    width = min(_BAR_WIDTH, spent * _BAR_WIDTH // cap) if cap else 0
    text = Text("spend ")
    text.append("█" * width, style="magenta")
    text.append("░" * (_BAR_WIDTH - width), style="dim")
    text.append(f" {usd(spent)} of at most {usd(cap)}")
    return text


def health_table(offerings: Sequence[Offering]) -> Table:
    """Draw the offerings and how they fare."""
    table = Table(
        "offering", "price", "breaker", "answers", "passes", "latency", "busy", box=None, pad_edge=False
    )
    for offering in offerings:
        breaker = "drained" if offering.drained else offering.breaker.replace("_", " ")
        table.add_row(
            offering.offering,
            "-" if offering.price_usd_micro is None else usd(offering.price_usd_micro),
            Text(breaker, style="dim" if offering.drained else _BREAKERS.get(offering.breaker, "")),
            percent(offering.success_rate_ppm),
            percent(offering.pass_rate_ppm),
            f"{offering.latency_ms / 1000:.1f} s",
            f"{offering.in_flight_count}/{offering.concurrency_limit}",
        )
    return table


def usd(amount_usd_micro: int) -> str:
    """Write an amount of dollars exactly."""
    return format_micro(amount_usd_micro, "USD")


def amount(amount_micro: int) -> str:
    """Write an amount exactly, without its unit."""
    return format_micro(amount_micro, "").rstrip()


def credits_(amount_credits_micro: int) -> str:
    """Write an amount of credits exactly."""
    return format_micro(amount_credits_micro, "credits")


def reason_words(reason: str) -> str:
    """Write the reason of a verdict for people: its dimension, then what was wrong with it."""
    dimension, colon, status = reason.partition(":")
    return f"{dimension}: {status.replace('_', ' ')}" if colon else reason.replace("_", " ")


def percent(share_ppm: int) -> str:
    """Write a share in whole percent."""
    return f"{share_ppm / _PPM_PER_PERCENT:.0f} %"

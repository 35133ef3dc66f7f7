"""Amounts, errors and control characters of others: what the terminal is given to show."""

from __future__ import annotations

import errno
import io
import re

import pytest
import typer

from tests.unit.cli.printed_task import TASK
from winnow.cli.amounts import micro_of
from winnow.cli.console import out, print_list
from winnow.cli.errors import CliError, fail, sentence_of
from winnow.cli.report import funnel_table
from winnow.cli.terminal import harmless
from winnow.contracts.errors import Unavailable


@pytest.mark.parametrize(("text", "micro"), [("0.25", 250_000), ("1", 1_000_000), ("0.000001", 1)])
def test_dollars_are_read_exactly(text: str, micro: int) -> None:
    assert micro_of(text, "USD") == micro


@pytest.mark.parametrize("text", ["abc", "0", "-1", "0.0000001", "nan", "inf"])
def test_what_is_no_amount_is_said(text: str) -> None:
    with pytest.raises(CliError, match=re.escape(text)):
        micro_of(text, "USD")


def test_errors_become_sentences() -> None:
    assert sentence_of(Unavailable("Kafka does not answer")) == "Kafka does not answer."
    full = OSError(errno.ENOSPC, "No space left on device", "/data/x")
    assert sentence_of(full) == "There is no disk space left at /data/x."
    assert sentence_of(PermissionError(errno.EACCES, "Permission denied", "/x")) == "Permission denied: /x."


HOSTILE = "a\x1b]0;title\x07b\x9b2Jc\u202ed\re"
SHOWN = r"a\x1b]0;title\x07b\x9b2Jc\u202ed\x0de"


def test_controls_of_others_are_written_out_and_tabs_and_lines_stay() -> None:
    assert harmless(HOSTILE) == SHOWN
    assert harmless("tab\tline\nÄ 日本 \u200f\U0001f600") == "tab\tline\nÄ 日本 \u200f\U0001f600"


def test_a_list_and_whatever_else_is_drawn_hold_no_controls_of_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_list(["id", "label"], [["1", HOSTILE]])
    out.print(HOSTILE, markup=False)
    out.print(funnel_table(TASK.model_copy(update={"failure_reasons": {HOSTILE: 1}})))
    printed = capsys.readouterr().out
    assert SHOWN in printed.splitlines()[1]
    assert printed.count(r"a\x1b]0;title") == 3
    assert re.findall(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", printed) == []


def test_the_consoles_own_controls_and_colours_stay() -> None:
    drawn = io.StringIO()
    console = type(out)(file=drawn, force_terminal=True, color_system="standard")
    console.print("[red]warm[/]")
    console.show_cursor(show=False)
    assert drawn.getvalue() == "\x1b[31mwarm\x1b[0m\n\x1b[?25l"


def test_a_failure_and_its_hint_hold_no_controls_of_others(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        fail(HOSTILE, hint=HOSTILE)
    assert capsys.readouterr().err.count(SHOWN) == 2

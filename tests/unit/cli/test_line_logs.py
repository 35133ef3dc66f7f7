"""Logs of the line: the newest lines, several at once, and followed."""

from __future__ import annotations

from pathlib import Path

from tests.unit.cli.line_commands import run
from winnow.cli.logs import Follower


def log(folder: Path, name: str, *lines: str) -> Path:
    path = folder / "logs" / f"{name}.log"
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def test_the_newest_lines_of_one_log_are_printed_as_they_are(tmp_path: Path) -> None:
    log(tmp_path, "ledger", *(f"line {number}" for number in range(30)))
    assert run("logs", "ledger", "-n", "2", "--data-dir", str(tmp_path)) == (0, "line 28\nline 29\n")
    assert len(run("logs", "Ledger", "--data-dir", str(tmp_path))[1].splitlines()) == 20
    assert run("logs", "ledger", "-n", "0", "--data-dir", str(tmp_path)) == (0, "")


def test_a_log_holds_no_controls_when_it_is_printed(tmp_path: Path) -> None:
    log(tmp_path, "ledger", "a\x1b]0;title\x07b\u202ec\td")
    said = run("logs", "ledger", "--data-dir", str(tmp_path))
    assert said == (0, "a\\x1b]0;title\\x07b\\u202ec\td\n")


def test_several_logs_are_told_apart(tmp_path: Path) -> None:
    log(tmp_path, "ledger", "a")
    log(tmp_path, "up", "b [x]")
    assert run("logs", "--data-dir", str(tmp_path)) == (0, "ledger | a\nup     | b [x]\n")


def test_a_log_that_is_not_there_is_answered_with_those_that_are(tmp_path: Path) -> None:
    status, said = run("logs", "ledger", "--data-dir", str(tmp_path))
    assert (status, "There are no logs" in said) == (1, True)
    log(tmp_path, "up", "b")
    status, said = run("logs", "ledger", "--data-dir", str(tmp_path))
    assert (status, "There are: up." in said) == (1, True)


def test_a_follower_waits_for_whole_lines_and_starts_again_with_a_new_run(tmp_path: Path) -> None:
    path = log(tmp_path, "up", "old")
    follower = Follower(path)
    assert follower.newest(5) == ["old"]
    with path.open("a") as file:
        file.write("new\nhal")
    assert list(follower.new_lines()) == ["new"]
    with path.open("a") as file:
        file.write("f\n")
    assert list(follower.new_lines()) == ["half"]
    path.replace(path.with_name("up.log.1"))
    log(tmp_path, "up", "of the next run")
    assert list(follower.new_lines()) == ["of the next run"]


def test_the_newest_lines_of_a_long_log_are_whole(tmp_path: Path) -> None:
    path = log(tmp_path, "up", *("x" * 1000 + f" {number}" for number in range(200)))
    assert [line[-4:] for line in Follower(path).newest(100)] == [f"{n: 4}" for n in range(100, 200)]

"""The check of commit messages: what it takes, what it names, and a history that is not there."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from scripts import check_commits
from scripts.check_commits import faults, read_log

WHY = "\n\nReaders could not tell a late answer from a lost one.\n"


@pytest.mark.parametrize(
    "message",
    [
        "feat: deliveries can be asked for" + WHY,
        "fix(egress): a mapped address has one spelling" + WHY,
        "refactor(event_store)!: an outbox of its own" + WHY,
        "docs: the runbook names the alerts\n",
        "test: the killed rebuilding names the staging database",
        f"test: {'x' * 66}",
    ],
)
def test_a_message_in_form_has_no_fault(message: str) -> None:
    assert faults(message) == []


@pytest.mark.parametrize(
    ("message", "named"),
    [
        ("", "type"),
        ("Deliveries can be asked for", "type"),
        ("feature: deliveries can be asked for" + WHY, "type"),
        ("docs: ", "type"),
        ("docs: the runbook ends with a point.", "type"),
        (f"test: {'x' * 67}", "73 characters"),
        ("feat: deliveries can be asked for", "says why"),
        ("fix: a late answer\n\nCo-authored-by: A Friend <friend@example.com>\n", "says why"),
        ("docs: the runbook\nnames the alerts", "empty line"),
    ],
)
def test_a_fault_is_named(message: str, named: str) -> None:
    (fault,) = faults(message)
    assert named in fault


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
    done = subprocess.run(
        ["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_only_commits_after_the_base_are_read(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    git(tmp_path, "commit", "--allow-empty", "--quiet", "-m", "Before there was a form")
    base = git(tmp_path, "rev-parse", "HEAD")
    git(tmp_path, "commit", "--allow-empty", "--quiet", "-m", "fix: a late answer" + WHY)
    git(tmp_path, "commit", "--allow-empty", "--quiet", "-m", "docs: the runbook")
    read = read_log(tmp_path, base)
    assert read is not None
    assert [message.splitlines()[0] for message in read.values()] == [
        "docs: the runbook",
        "fix: a late answer",
    ]
    assert [faults(message) for message in read.values()] == [[], []]


@pytest.mark.parametrize("is_checkout", [True, False])
def test_a_history_that_is_not_there_passes_with_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], is_checkout: bool
) -> None:
    if is_checkout:
        git(tmp_path, "init", "--quiet")
        git(tmp_path, "commit", "--allow-empty", "--quiet", "-m", "test: a shallow checkout")
    monkeypatch.setattr(check_commits, "ROOT", tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert check_commits.main() == 0
    assert "not checked" in capsys.readouterr().out

"""Dead letters: listed without payload, and sent again as they came."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from winnow.audit.records import TopicRecord
from winnow.cli.dead_letters import original_of, summary
from winnow.cli.errors import CliError
from winnow.cli.main import app

LETTER = TopicRecord(
    topic="winnow.tasks.v1.winnow-router.dlq",
    partition=3,
    offset=9,
    timestamp_ms=0,
    key=b"task_1",
    body=b"\xff not json",
    headers=(
        ("type", b"task.funded"),
        ("dlq-topic", b"winnow.tasks.v1"),
        ("dlq-partition", b"2"),
        ("dlq-offset", b"41"),
        ("dlq-reason", b"poison"),
        ("dlq-error", b"JSONDecodeError"),
    ),
)


def refusal(*arguments: str, env: dict[str, str] | None = None) -> str:
    result = CliRunner().invoke(app, list(arguments), env=env, terminal_width=200)
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


@pytest.mark.parametrize("arguments", [[], ["--all", "--offset", "1"]])
def test_a_replay_says_which_letter(arguments: list[str], tmp_path: Path) -> None:
    said = refusal(
        "dlq", "replay", LETTER.topic, *arguments, "--data-dir", str(tmp_path), "--bootstrap", "127.0.0.1:9"
    )
    assert "--partition and --offset, or --all" in said


def test_a_topic_that_holds_no_dead_letters_is_refused(tmp_path: Path) -> None:
    said = refusal(
        "dlq", "replay", "winnow.tasks.v1", "--all", "--data-dir", str(tmp_path), "--bootstrap", "x:9"
    )
    assert "no dead-letter topic" in said


def test_a_letter_goes_back_as_it_came() -> None:
    original = original_of(LETTER)
    assert (original.topic, original.partition) == ("winnow.tasks.v1", 2)
    assert (original.key, original.body) == (LETTER.key, LETTER.body)
    assert original.headers == (("type", b"task.funded"),)


def test_a_letter_without_a_source_is_not_sent_anywhere() -> None:
    with pytest.raises(CliError, match="source"):
        original_of(
            TopicRecord("x.dlq", 0, 0, 0, None, b"", (("dlq-topic", b"elsewhere"), ("dlq-partition", b"0")))
        )


def test_a_list_of_letters_holds_no_payload() -> None:
    assert "not json" not in str(summary(LETTER))
    assert summary(LETTER)["source"] == "winnow.tasks.v1/2/41"

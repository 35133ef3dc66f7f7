"""A pytest plugin that writes how each failed test failed: by an assertion, or in another way."""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from pathlib import Path

import pytest

RESULT_VARIABLE = "WINNOW_MUTATION_RESULT"
"""Names the file that the plugin writes when the session ends."""

_asserted: list[str] = []
_failed_otherwise: list[str] = []
_passed: list[str] = []
_reasons: dict[str, str] = {}
"""The first line of what a failed test raised, by node id."""
_REASON_MAX = 160


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note the outcome of a test, and of its set-up and its end where they fail."""
    report = yield
    if report.failed and call.excinfo is not None:
        by_assertion = call.when == "call" and _is_assertion(call.excinfo.value)
        (_asserted if by_assertion else _failed_otherwise).append(item.nodeid)
        said = f"{call.excinfo.typename}: {call.excinfo.value}"
        _reasons[item.nodeid] = said.partition("\n")[0][:_REASON_MAX]
    elif report.passed and report.when == "call":
        _passed.append(item.nodeid)
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Write the outcomes, where a file for them is named."""
    if (file := os.environ.get(RESULT_VARIABLE)) and not hasattr(session.config, "workerinput"):
        outcomes = {"asserted": _asserted, "otherwise": _failed_otherwise, "passed": _passed}
        Path(file).write_text(json.dumps({"outcomes": outcomes, "reasons": _reasons}))


def _is_assertion(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(_is_assertion(inner) for inner in error.exceptions)
    expected = (AssertionError, pytest.fail.Exception)
    return isinstance(error, expected) and not str(error).startswith("Timeout")

"""The debt to providers equals the costs of the attempts; what was booked otherwise is named."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from winnow.audit.costs import CostReport, Payables, TaskCost, compare_costs
from winnow.contracts.events import (
    AttemptFinished,
    AttemptSubmitted,
    EntryRecorded,
    TaskAccepted,
    TaskEvent,
    TaskSettled,
)
from winnow.contracts.topics import MESSAGES
from winnow.contracts.values import EntryKind, Posting, ProviderCost, Unit

GOLDEN = Path("tests/contract/golden")
AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
LATER = AT + timedelta(minutes=5)
TASK = json.loads((GOLDEN / "task.settled.v1/demo.json").read_text())["task_id"]


def golden(kind: str, **changes: Any) -> Any:
    document = json.loads((GOLDEN / f"{kind}.v1/demo.json").read_text())
    return MESSAGES[kind].model_validate(document | {"task_id": TASK} | changes)


def entry(*owed: tuple[int, str | None], kind: EntryKind = EntryKind.settle) -> list[EntryRecorded]:
    """Return entries that owe so many micro-USD for a task each."""
    return [
        golden("entry.recorded").model_copy(
            update={
                "kind": kind,
                "task_id": task_id,
                "postings": [
                    Posting(account="house:provider_cost", amount_micro=amount, unit=Unit.usd_micro),
                    Posting(account="house:provider_payable", amount_micro=-amount, unit=Unit.usd_micro),
                    # A forger's posting in the wrong unit is no debt.
                    Posting(account="house:provider_payable", amount_micro=1, unit=Unit.credits_micro),
                ],
            }
        )
        for amount, task_id in owed
    ]


def order(slack_s: int | None = 300) -> TaskAccepted:
    return golden("task.accepted").model_copy(update={"deadline_slack_s": slack_s})


def submitted(expected: int) -> AttemptSubmitted:
    return golden("attempt.submitted", expected_cost_usd_micro=expected)


def finished(expected: int, actual: int) -> AttemptFinished:
    return golden("attempt.finished", expected_cost_usd_micro=expected, actual_cost_usd_micro=actual)


def bill(actual: int) -> TaskSettled:
    cost = ProviderCost(expected_usd_micro=actual, actual_usd_micro=actual)
    return golden("task.settled").model_copy(update={"cost": cost})


def compared(events: list[TaskEvent], entries: list[EntryRecorded], horizon: datetime = LATER) -> CostReport:
    cost, payables = TaskCost(), Payables()
    for event in events:
        cost.take(event, AT)
    for record in entries:
        payables.take(record)
    return compare_costs({TASK: cost}, payables.by_task, horizon)


# Two attempts; one is still out at the selection and when the bill is written, and costs nothing in the end.
STORY: list[TaskEvent] = [
    order(),
    submitted(40),
    submitted(60),
    finished(40, 45),
    golden("task.selected"),
    bill(105),
    finished(60, 0),
]


def test_an_outcome_after_the_bill_is_booked_by_its_variance() -> None:
    assert compared(STORY, entry((105, TASK), (-60, TASK))) == CostReport((), 0)


def test_an_attempt_that_is_still_out_is_owed_at_its_expected_cost() -> None:
    assert compared(STORY[:-1], entry((105, TASK))) == CostReport((), 0)


@pytest.mark.parametrize(
    ("owed", "sum_micro"), [([105], 105), ([105, -60, -60], -15), ([105, -59], 46), ([], 0)]
)
def test_a_debt_that_is_not_the_cost_of_the_attempts_is_named(owed: list[int], sum_micro: int) -> None:
    report = compared(STORY, entry(*((amount, TASK) for amount in owed)))
    assert [(finding.check, finding.subject) for finding in report.findings] == [("provider cost", TASK)]
    assert report.findings[0].text == (
        f"the books owe providers {sum_micro} micro-USD for it, its attempts cost 45"
    )


@pytest.mark.parametrize(("seconds", "found"), [(59, 0), (60, 1)])
def test_a_late_outcome_or_a_bill_of_the_last_minute_may_not_be_booked_yet(seconds: int, found: int) -> None:
    horizon = AT + timedelta(seconds=seconds)
    assert len(compared(STORY, entry((105, TASK)), horizon).findings) == found
    assert (
        len(compared([*STORY[:5], finished(60, 0), bill(45)], entry((105, TASK)), horizon).findings) == found
    )
    assert len(compared(STORY[:-1], [], horizon).findings) == found


def test_what_was_known_at_the_selection_is_in_the_bill_at_once() -> None:
    known = [*STORY[:4], finished(60, 0), golden("task.selected"), bill(45)]
    assert len(compared(known, entry((105, TASK)), AT).findings) == 1


def test_an_order_of_an_older_build_is_counted_where_only_late_outcomes_are_missing() -> None:
    older = [order(None), *STORY[1:]]
    assert compared(older, entry((105, TASK))) == CostReport((), 1)
    assert len(compared(older, entry((104, TASK))).findings) == 1
    assert len(compared(older, []).findings) == 1


def test_a_task_without_a_bill_and_without_entries_is_not_judged() -> None:
    assert compared(STORY[:5], []) == CostReport((), 0)


def test_a_debt_for_no_task_or_for_an_unknown_task_is_named() -> None:
    other = "task_of_nobody"
    report = compared(STORY, entry((105, TASK), (-60, TASK), (7, None), (8, other)))
    assert {finding.subject for finding in report.findings} == {other, golden("entry.recorded").entry_id}

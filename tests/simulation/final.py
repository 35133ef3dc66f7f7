"""Invariants at the end of a run: everything ended, paid, told, and the same again from the journals."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import datetime
from typing import Any

from tests.simulation.checker import Checker, check
from tests.simulation.light import state_shown
from tests.simulation.outside import Outside, quality_of

PRICE = 1_500_000


def pending(checker: Checker, answered: dict[str, float], storages: dict[str, dict[str, Any]]) -> list[str]:
    """Return what the run still waits for."""
    waits = [f"{chunk_id} has no verdict" for chunk_id in checker.chunks]
    for task_id in answered:
        task = checker.tasks[task_id]
        waits += [f"{attempt} has not finished" for attempt in task.attempts if attempt not in task.returned]
        if task.end is None:
            waits.append(f"{task_id} has no end")
        elif task.settled is None and task.funded:
            waits.append(f"{task_id} is not settled")
        elif checker.books.payable[task_id] != spent_on(task):
            waits.append(f"the books have not all that {task_id} cost")
    waits += [
        f"{service} has not sent {block_id}"
        for service, collections in storages.items()
        for name in collections
        if name.endswith("journal")
        for block_id in _unsent(collections, name.removesuffix("journal"))
    ]
    return waits


def _unsent(collections: dict[str, Any], prefix: str) -> list[str]:
    sent_to: defaultdict[str, int] = defaultdict(int)
    steps = collections[f"{prefix}folds"].rows if f"{prefix}folds" in collections else {}
    for shard, row in steps.items():
        sent_to[shard] = row.get("sent_to", 0)
    blocks = collections[f"{prefix}journal"].rows.values()
    for row in blocks:
        sent_to[row["shard"]] = max(sent_to[row["shard"]], row["sent_to"])
    return [
        row["_id"]
        for row in blocks
        if row["block_no"] > sent_to[row["shard"]]
        and any(entry["topic"] for decision in row["decisions"] for entry in decision["entries"])
    ]


def told_of_all(checker: Checker, answered: dict[str, float], outside: Outside) -> bool:
    """Return whether a receiver has heard, and answered well, about every end."""
    told = {json.loads(body)["data"]["task_id"] for _, _, body, well in outside.received if well}
    return set(answered) <= told


def views_behind(checker: Checker, storages: dict[str, dict[str, Any]]) -> list[str]:
    """Return where the read model does not show what the record holds: a task's end, an entry of the books."""
    rows = storages["ingest"]
    shown = {key: state_shown(row, json.loads) for key, row in rows["tasks"].rows.items()}
    behind = [
        f"{task_id} is shown {shown.get(task_id)}, it is {task.end['type']}"
        for task_id, task in checker.tasks.items()
        if task.accepted and task.end and f"task.{shown.get(task_id)}" != task.end["type"]
    ]
    views = storages["ledger"]
    entries = set(views["entries"].rows) if "entries" in views else set()
    behind += [f"{entry} is in the view or booked alone" for entry in entries ^ checker.books.entries]
    return behind


def check_end(checker: Checker, answered: dict[str, float], outside: Outside, cap_usd_micro: int) -> None:
    """Check the promises that can only be told at the end."""
    checker.check_numbers()
    for task_id in answered:
        task = checker.tasks[task_id]
        check(task.end is not None, "I1", f"{task_id} was accepted and has no end")
        _check_deadline(task_id, task)
        _check_money(checker, task_id, task)
        _check_provider(task_id, task, outside, cap_usd_micro)
        _check_gate(task_id, task, outside)
    check(set(checker.tasks) <= set(answered) | _unanswered(checker), "I1", "a task that nobody ordered")
    held = {name: account.held for name, account in checker.books.accounts.items() if account.held}
    check(not held, "I3", f"credits are still held: {held}")
    _check_house(checker)
    _check_webhooks(checker, answered, outside)


def _check_deadline(task_id: str, task: Any) -> None:
    """Every fault lies before every deadline, so no end may lie beyond deadline and slack."""
    if task.accepted is None:
        return
    ended_at, deadline_at = (
        datetime.fromisoformat(moment) for moment in (task.end["occurred_at"], task.accepted["deadline_at"])
    )
    late_s = (ended_at - deadline_at).total_seconds() - task.accepted["deadline_slack_s"]
    check(late_s <= 0, "I1", f"{task_id} ended {late_s:.1f} s after its deadline and slack")


def _check_house(checker: Checker) -> None:
    """The margin: the house earned what the bills say, and owes what every attempt cost, to the micro-USD."""
    earned = owed = 0
    for task_id, task in checker.tasks.items():
        if task.settled is None:
            continue
        spent = spent_on(task)
        booked = checker.books.payable[task_id]
        check(booked == spent, "I3", f"{task_id}: the books owe {booked}, its attempts cost {spent}")
        earned += task.settled["settled_credits_micro"]
        owed += spent
    books = checker.books
    earned -= sum(sum(account.refunded.values()) for account in books.accounts.values())
    check(books.house["house:revenue"] == earned, "I3", f"the house earned {earned}, its account differs")
    payable = books.costs["house:provider_payable"]
    check(payable == -owed, "I3", f"providers are owed {owed}, the account says {payable}")


def spent_on(task: Any) -> int:
    """Sum what a task's attempts cost."""
    return sum(attempt["actual_cost_usd_micro"] for attempt in task.returned.values())


def _unanswered(checker: Checker) -> set[str]:
    return {task_id for task_id, task in checker.tasks.items() if task.accepted is not None}


def _check_money(checker: Checker, task_id: str, task: Any) -> None:
    if task.accepted is None or not task.funded:
        return
    check(task.settled is not None, "I3", f"{task_id} was funded and never settled")
    bill = task.settled
    check(
        bill["reserved_credits_micro"] == bill["settled_credits_micro"] + bill["released_credits_micro"],
        "I3",
        f"{task_id}: reserved is not settled and released",
    )
    check(
        bill["reserved_credits_micro"] == task.accepted["reserve_credits_micro"], "I3", f"{task_id}: reserved"
    )
    delivered = len(task.end.get("outputs", ()))
    check(
        bill["settled_credits_micro"] == delivered * PRICE,
        "I4",
        f"{task_id}: {delivered} delivered and {bill['settled_credits_micro']} charged",
    )
    hold = task.accepted["reservation_id"]
    ended = checker.books.accounts[task.accepted["account_id"]].ended.get(hold)
    check(ended is not None and ended[1] == delivered * PRICE, "I3", f"{task_id}: the books say {ended}")


def _check_provider(task_id: str, task: Any, outside: Outside, cap_usd_micro: int) -> None:
    spent = 0
    for attempt_id, submitted in task.attempts.items():
        check(
            outside.submits[attempt_id] <= 1,
            "I4",
            f"{attempt_id} was submitted {outside.submits[attempt_id]} times",
        )
        work = outside.works.get(attempt_id)
        billed = work.billed_usd_micro if work else 0
        spent += billed
        returned = task.returned.get(attempt_id)
        check(returned is not None, "I1", f"{task_id}: {attempt_id} ({submitted['offering']}) never finished")
        check(
            returned["actual_cost_usd_micro"] >= billed,
            "I4",
            f"{attempt_id}: billed {billed}, recorded {returned['actual_cost_usd_micro']} ({returned['outcome']})",
        )
    check(spent <= cap_usd_micro, "P4", f"{task_id} spent {spent} of {cap_usd_micro}")


def _check_gate(task_id: str, task: Any, outside: Outside) -> None:
    for output in task.end.get("outputs", ()):
        stored = output["stored"]
        place = (stored["bucket"], stored["key"])
        check(place in outside.objects, "I5", f"{task_id}: a delivered file is not there")
        content = outside.objects[place]
        quality = quality_of(content.removeprefix(b"finished "))
        check(quality is not None and quality > 50, "I5", f"{task_id}: delivered quality {quality}")


def _check_webhooks(checker: Checker, answered: dict[str, float], outside: Outside) -> None:
    told: dict[tuple[str, str], list[tuple[str, bytes, bool]]] = defaultdict(list)
    for url, delivery_id, body, answered_well in outside.received:
        task_id = json.loads(body)["data"]["task_id"]
        told[url, task_id].append((delivery_id, body, answered_well))
    for task_id in answered:
        task = checker.tasks[task_id]
        assert task.accepted is not None
        assert task.end is not None
        requests = told.get((f"https://receiver/{task.accepted['account_id']}", task_id), [])
        check(requests, "I6", f"{task_id}: nobody was told of {task.end['type']}")
        check(len({request[0] for request in requests}) == 1, "I6", f"{task_id}: several webhook ids")
        check(len({request[1] for request in requests}) == 1, "I6", f"{task_id}: several bodies")
        said = json.loads(requests[0][1])["type"]
        check(said == task.end["type"], "I6", f"{task_id}: ended {task.end['type']}, told {said}")

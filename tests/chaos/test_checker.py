"""The checker finds each breach that is put into evidence without one."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.chaos.checker import judge
from tests.chaos.evidence import Evidence

_ACCOUNT, _TASK, _CANDIDATE, _SHA = "acct_x", "task_1", "cand_1", "ab" * 32
_PRICE = 700


def _entry(number: int, kind: str, amount: int, moves: dict[str, int], available: int) -> dict[str, Any]:
    postings = [
        {"account": key, "amount_micro": by, "unit": "credits_micro"} for key, by in moves.items() if by
    ]
    return {
        "type": "entry.recorded", "event_id": f"evt_entry{number}", "producer": "ledger", "account_id": _ACCOUNT,
        "sequence": number, "entry_id": f"ent_{number}", "kind": kind, "amount_credits_micro": amount,
        "available_credits_micro": available, "postings": postings, "task_id": _TASK,
        "reservation_id": None if kind == "grant" else "rsv_1",
    }  # fmt: skip


def _bodies() -> list[dict[str, Any]]:
    mine, held = f"customer:{_ACCOUNT}:available", f"customer:{_ACCOUNT}:held"
    common = {"account_id": _ACCOUNT, "task_id": _TASK}
    output = {"candidate_id": _CANDIDATE, "stored": {"sha256": _SHA}}
    scored = {"candidate_id": _CANDIDATE, "passed": True}
    return [
        _entry(1, "grant", 1000, {"house:grants": -1000, mine: 1000}, 1000),
        _entry(2, "reserve", _PRICE, {mine: -_PRICE, held: _PRICE}, 300),
        _entry(3, "settle", _PRICE, {held: -_PRICE, "house:revenue": _PRICE}, 300),
        common | {"type": "task.accepted", "event_id": "evt_a", "producer": "ingest-api"} | {"price_per_output_credits_micro": _PRICE},
        common | {"type": "attempt.finished", "event_id": "evt_f", "producer": "router", "attempt_id": "att_1"},
        common | {"type": "candidates.scored", "event_id": "evt_s", "producer": "scorer", "candidates": [scored]},
        common | {"type": "task.delivered", "event_id": "evt_d", "producer": "delivery", "outputs": [output]},
    ]  # fmt: skip


def _whole() -> Evidence:
    bodies = _bodies()
    records = [{"body": body, "raw": json.dumps(body).encode()} for body in bodies]
    hook = {"webhook_id": "wh_1", "verified": True, "problem": None, "answered": 200, "body": {"a": 1}}
    return Evidence(
        _ACCOUNT,
        promised=[_TASK],
        tasks={_TASK: {"state": "delivered", "complete": True, "k": 1}},
        bills={_TASK: {"delivered_count": 1}},
        balance={"available_credits_micro": 300},
        links=[(_TASK, _CANDIDATE, 200, _SHA)],
        foreign_status=[404],
        records=records,
        journalled=[("any", json.dumps(body), True) for body in bodies if body["producer"] != "scorer"],
        hooks=[hook],
        hook_log=[{"task_id": _TASK, "delivery_id": "wh_1", "state": "delivered"}],
    )


def _add(seen: Evidence, like: str, **changed: Any) -> None:
    body = (
        copy.deepcopy(next(record["body"] for record in seen.records if record["body"]["event_id"] == like))
        | changed
    )
    seen.records.append({"body": body, "raw": json.dumps(body).encode()})
    seen.journalled.append(("any", json.dumps(body), True))


def _drop(seen: Evidence, event_id: str) -> None:
    seen.records = [record for record in seen.records if record["body"]["event_id"] != event_id]


def _fail_every_candidate(seen: Evidence) -> None:
    for record in seen.records:
        for candidate in record["body"].get("candidates", []):
            candidate["passed"] = False


BREACHES: dict[str, tuple[str, Callable[[Evidence], Any]]] = {
    "a task that never ended": ("I1", lambda seen: seen.tasks[_TASK].update(complete=False)),
    "a task the API forgot": ("I1", lambda seen: seen.tasks.clear()),
    "an output withheld": ("I1", lambda seen: seen.tasks[_TASK].update(state="failed")),
    "two ends": ("I2", lambda seen: _add(seen, "evt_d", event_id="evt_d2", type="task.failed")),
    "an id with two contents": ("I2", lambda seen: _add(seen, "evt_d", outputs=[])),
    "a second time in a repeat": ("I2", lambda seen: _add(seen, "evt_d", occurred_at="later")),
    "another verdict in a repeat": ("I2", lambda seen: _add(seen, "evt_s", candidates=[])),
    "a second settlement": ("I4", lambda seen: _add(seen, "evt_entry3", event_id="evt_e4", sequence=4)),
    "a second reservation": ("I3", lambda seen: _add(seen, "evt_entry2", event_id="evt_e4", sequence=4)),
    "postings that do not balance": ("I3", lambda seen: seen.records[2]["body"]["postings"].pop()),
    "a hold that stays": ("I3", lambda seen: _drop(seen, "evt_entry3")),
    "another balance in the API": ("I3", lambda seen: seen.balance.update(available_credits_micro=301)),
    "an attempt that ended twice": ("I4", lambda seen: _add(seen, "evt_f", event_id="evt_f2")),
    "a bill for more": ("I4", lambda seen: seen.bills[_TASK].update(delivered_count=2)),
    "a failed candidate delivered": ("I5", _fail_every_candidate),
    "a delivery of pictures that are gone": ("I5", lambda seen: seen.robbed.append(_TASK)),
    "a link to other bytes": ("I5", lambda seen: seen.links.__setitem__(0, (_TASK, _CANDIDATE, 200, "00"))),
    "a link to what was not delivered": ("I5", lambda seen: seen.links.append((_TASK, "cand_2", 200, _SHA))),
    "no link": ("I5", lambda seen: seen.links.clear()),
    "a webhook that never came": ("I6", lambda seen: seen.hooks.clear()),
    "a webhook with a wrong signature": ("I6", lambda seen: seen.hooks[0].update(verified=False)),
    "a webhook with another content": ("I6", lambda seen: seen.hooks.append(seen.hooks[0] | {"body": {}})),
    "a decision that was not published": ("I7", lambda seen: _drop(seen, "evt_f")),
    "a record that nobody decided": ("I7", lambda seen: seen.journalled.pop()),
    "a block not marked": ("I7", lambda seen: seen.journalled.append((*seen.journalled.pop()[:2], False))),
    "a stranger who may read": ("I8", lambda seen: seen.foreign_status.append(200)),
    "a partition that stands still": ("I9", lambda seen: setattr(seen, "lag", 3)),
    "a process that is gone": ("I9", lambda seen: seen.not_running.append("router")),
    "a prompt in a log": ("I10", lambda seen: seen.leaks.append("router.log")),
}


def test_evidence_without_a_breach_passes() -> None:
    verdict = judge(_whole())
    assert verdict.broken == []
    assert (verdict.tasks, verdict.lost, verdict.double_charged, verdict.duplicates) == (1, 0, 0, 0)


def test_a_repeated_record_is_a_duplicate_and_no_breach() -> None:
    seen = _whole()
    seen.records.append(seen.records[-1])
    verdict = judge(seen)
    assert (verdict.broken, verdict.duplicates) == ([], 1)


def test_the_scorer_may_say_the_same_at_another_time() -> None:
    seen = _whole()
    body = next(record["body"] for record in seen.records if record["body"]["event_id"] == "evt_s")
    seen.records.append({"body": body | {"occurred_at": "later"}, "raw": b"other bytes"})
    assert (judge(seen).broken, judge(seen).duplicates) == ([], 1)


@pytest.mark.parametrize("name", BREACHES)
def test_each_breach_is_found(name: str) -> None:
    invariant, breach = BREACHES[name]
    seen = _whole()
    breach(seen)
    assert any(named.startswith(f"{invariant} ") for named in judge(seen).broken), judge(seen).broken

"""Judges what was seen: the ten invariants, by rules written a second time, apart from the services.

I1 no task lost · I2 one outcome · I3 money · I4 no double charge · I5 gate · I6 webhooks · I7 outbox ·
I8 isolation · I9 progress · I10 no leak.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.chaos.evidence import Evidence

ENDS = {
    "task.delivered": "delivered",
    "task.partially_delivered": "partially_delivered",
    "task.failed": "failed",
    "task.cancelled": "cancelled",
    "task.rejected": "rejected",
}
RELEASED_BY = {"release", "expire_reservation"}


@dataclass
class Verdict:
    """Findings of the checker; ``broken`` names each breach with its invariant."""

    tasks: int = 0
    states: dict[str, int] = field(default_factory=dict)
    lost: int = 0
    double_charged: int = 0
    wrongly_delivered: int = 0
    duplicates: int = 0
    billed_twice: int = 0
    dead_letters: int = 0
    broken: list[str] = field(default_factory=list)


def judge(seen: Evidence) -> Verdict:
    """Check every invariant."""
    verdict = Verdict(len(seen.promised), billed_twice=seen.billed_twice, dead_letters=len(seen.dead_letters))
    verdict.states = dict(Counter(str(task.get("state")) for task in seen.tasks.values()))
    rules: list[Callable[[Evidence, Verdict], Iterator[str]]] = [
        _no_task_lost, _nothing_withheld, _one_outcome, _books, _charges, _gate, _webhooks, _outbox, _isolation, _progress, _no_leak,
    ]  # fmt: skip
    for rule in rules:
        verdict.broken += rule(seen, verdict)
    return verdict


def _no_task_lost(seen: Evidence, verdict: Verdict) -> Iterator[str]:
    for task_id in seen.promised:
        task = seen.tasks.get(task_id)
        if task is None or not task["complete"] or task["state"] not in ENDS.values():
            verdict.lost += 1
            yield f"I1 {task_id}: {task['state'] if task else 'unknown to the API'}"


def _nothing_withheld(seen: Evidence, _: Verdict) -> Iterator[str]:
    """Fewer than k outputs are an end only where fewer than k passed: a fault may not look like a verdict."""
    passed: Counter[str] = Counter()
    scored: Counter[str] = Counter()
    for body in seen.mine("candidates.scored"):
        scored[body["task_id"]] += len(body["candidates"])
        passed[body["task_id"]] += sum(candidate["passed"] for candidate in body["candidates"])
    for task_id, task in seen.tasks.items():
        if task_id in seen.robbed:
            if task["state"] != "failed":
                yield f"I5 {task_id}: {task['state']}, though its pictures are gone"
        elif task["state"] in {"partially_delivered", "failed"} and passed[task_id] >= task["k"]:
            yield f"I1 {task_id}: {task['state']}, though {passed[task_id]} of {scored[task_id]} passed"


def _content(record: dict[str, Any]) -> object:
    """Return what must be the same in a repeat: all bytes; of the scorer, which keeps nothing, all but the time."""
    body = record["body"]
    if body.get("producer") != "scorer":
        return record["raw"]
    return {name: value for name, value in body.items() if name != "occurred_at"}


def _one_outcome(seen: Evidence, verdict: Verdict) -> Iterator[str]:
    contents: dict[str, object] = {}
    for record in seen.records:
        event_id = record["body"].get("event_id")
        if event_id is None or record["body"].get("account_id") != seen.account_id:
            continue
        content = _content(record)
        if event_id in contents:
            verdict.duplicates += 1
            if contents[event_id] != content:
                yield f"I2 {event_id}: two contents under one id"
        contents[event_id] = content
    ends: dict[str, list[str]] = defaultdict(list)
    for body in seen.mine():
        if body["type"] in ENDS:
            ends[body["task_id"]].append(body["type"])
    for task_id in seen.promised:
        if len(ends[task_id]) != 1:
            yield f"I2 {task_id}: ends {ends[task_id]}"
        elif task_id in seen.tasks and ENDS[ends[task_id][0]] != seen.tasks[task_id]["state"]:
            yield f"I2 {task_id}: the topic says {ends[task_id][0]}, the API {seen.tasks[task_id]['state']}"


def _books(seen: Evidence, _: Verdict) -> Iterator[str]:
    available, held = f"customer:{seen.account_id}:available", f"customer:{seen.account_id}:held"
    sums: Counter[str] = Counter()
    by_reservation: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for entry in sorted(seen.mine("entry.recorded"), key=lambda booked: int(booked["sequence"])):
        per_unit: Counter[str] = Counter()
        for posting in entry["postings"]:
            per_unit[posting["unit"]] += posting["amount_micro"]
            sums[posting["account"]] += posting["amount_micro"]
        if any(per_unit.values()):
            yield f"I3 {entry['entry_id']}: postings do not sum to zero"
        if sums[available] < 0 or sums[held] < 0:
            yield f"I3 {entry['entry_id']}: a balance below zero"
        if sums[available] != entry["available_credits_micro"]:
            yield f"I3 {entry['entry_id']}: the balance written is not the sum"
        if entry["reservation_id"]:
            by_reservation[entry["reservation_id"]].append(entry)
    for reservation_id, entries in by_reservation.items():
        kinds = Counter(entry["kind"] for entry in entries)
        ended = kinds["settle"] + sum(kinds[kind] for kind in RELEASED_BY)
        if kinds["reserve"] != 1 or ended != 1 or kinds["refund"] > 1:
            yield f"I3 {reservation_id}: {dict(kinds)}"
    if sums[held] != 0:
        yield f"I3 {sums[held]} are still held"
    if seen.balance and sums[available] != seen.balance["available_credits_micro"]:
        yield f"I3 the API shows {seen.balance['available_credits_micro']}, the entries sum to {sums[available]}"


def _charges(seen: Evidence, verdict: Verdict) -> Iterator[str]:
    delivered = {
        body["task_id"]: len(body["outputs"])
        for body in seen.mine()
        if body["type"] in {"task.delivered", "task.partially_delivered"}
    }
    settles: dict[str, list[int]] = defaultdict(list)
    for entry in seen.mine("entry.recorded"):
        if entry["kind"] == "settle":
            settles[entry["task_id"]].append(entry["amount_credits_micro"])
    prices = {body["task_id"]: body["price_per_output_credits_micro"] for body in seen.mine("task.accepted")}
    for task_id in seen.promised:
        owed = prices.get(task_id, 0) * delivered.get(task_id, 0)
        charged = sum(settles[task_id])
        if charged > owed or len(settles[task_id]) > 1:
            verdict.double_charged += 1
        if charged != owed:
            yield f"I4 {task_id}: charged {charged}, delivered for {owed}"
        bill = seen.bills.get(task_id)
        if bill is not None and bill["delivered_count"] != delivered.get(task_id, 0):
            yield f"I4 {task_id}: the bill counts {bill['delivered_count']}"
    attempts = Counter(body["attempt_id"] for body in seen.mine("attempt.finished"))
    for attempt_id, count in attempts.items():
        if count > 1:
            yield f"I4 {attempt_id}: {count} ends, so {count} costs"


def _gate(seen: Evidence, verdict: Verdict) -> Iterator[str]:
    passed: dict[str, set[str]] = defaultdict(set)
    for body in seen.mine("candidates.scored"):
        passed[body["task_id"]] |= {
            candidate["candidate_id"] for candidate in body["candidates"] if candidate["passed"]
        }
    hashes: dict[tuple[str, str], str] = {}
    for body in seen.mine():
        for output in body.get("outputs", []) if body["type"] in ENDS else []:
            hashes[body["task_id"], output["candidate_id"]] = output["stored"]["sha256"]
            if output["candidate_id"] not in passed[body["task_id"]]:
                verdict.wrongly_delivered += 1
                yield f"I5 {output['candidate_id']}: delivered, never passed"
    for task_id, candidate_id, status, digest in seen.links:
        if (task_id, candidate_id) not in hashes:
            verdict.wrongly_delivered += 1
            yield f"I5 {candidate_id}: a link, but no delivery"
        elif status != 200 or digest != hashes[task_id, candidate_id]:
            yield f"I5 {candidate_id}: the link answers {status}, or with other bytes"
    for task_id, candidate_id in hashes.keys() - {(link[0], link[1]) for link in seen.links}:
        yield f"I5 {candidate_id} of {task_id}: delivered without a link"


def _webhooks(seen: Evidence, _: Verdict) -> Iterator[str]:
    """Every end that was subscribed to arrived, verified; a repeat has the same id and the same content."""
    accepted: set[str] = set()
    contents: dict[str, str] = {}
    for hook in seen.hooks:
        hook_id, content = str(hook["webhook_id"]), json.dumps(hook["body"], sort_keys=True)
        if not hook["verified"]:
            yield f"I6 {hook_id}: {hook['problem']}"
        if contents.setdefault(hook_id, content) != content:
            yield f"I6 {hook_id}: another content in a later try"
        if isinstance(hook["answered"], int) and 200 <= hook["answered"] < 300:
            accepted.add(hook_id)
    logged = {str(delivery["task_id"]): delivery for delivery in seen.hook_log}
    for task_id in seen.promised if seen.hook_log or seen.hooks else []:
        log = logged.get(task_id)
        if log is None:
            yield f"I6 {task_id}: no delivery was planned"
        elif log["state"] != "exhausted" and log["delivery_id"] not in accepted:
            yield f"I6 {task_id}: {log['state']}, but it never arrived"


def _outbox(seen: Evidence, _: Verdict) -> Iterator[str]:
    on_bus = {str(record["body"].get("event_id")) for record in seen.records}
    journalled: Counter[str] = Counter()
    for service, text, is_marked in seen.journalled:
        event_id = str(json.loads(text)["event_id"])
        journalled[event_id] += 1
        if event_id not in on_bus:
            yield f"I7 {service} {event_id}: in the journal, not on the bus (marked as sent: {is_marked})"
        elif not is_marked:
            yield f"I7 {service} {event_id}: still not marked as sent"
    for event_id, count in journalled.items():
        if count > 1:
            yield f"I7 {event_id}: decided {count} times"
    for body in seen.mine():
        # The scorer has no journal: its verdicts follow from their command.
        if body["producer"] != "scorer" and body["event_id"] not in journalled:
            yield f"I7 {body['event_id']}: on the bus, in no journal"


def _isolation(seen: Evidence, _: Verdict) -> Iterator[str]:
    for status in seen.foreign_status:
        if status != 404:
            yield f"I8 another account was answered {status}"


def _progress(seen: Evidence, _: Verdict) -> Iterator[str]:
    if seen.lag:
        yield f"I9 {seen.lag} records are not consumed"
    for name in seen.not_running:
        yield f"I9 {name} does not run or is not ready"


def _no_leak(seen: Evidence, _: Verdict) -> Iterator[str]:
    for place in seen.leaks:
        yield f"I10 a prompt or a key is found in {place}"

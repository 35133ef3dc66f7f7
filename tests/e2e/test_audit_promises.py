"""Breaches of a real record's own promises are named, from topics, journals and archive alike.

Every tampering fits all chains: the forger hashes the journals again and writes the archive anew.
"""

from __future__ import annotations

import asyncio
import copy
import json
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pymongo
import pytest

from tests.support.builders.forged_archive import Lanes, edit_event, holders, read_lanes, write_lanes
from tests.support.servers.line import RunningLine
from winnow.audit.archive_verify import verify_archive
from winnow.audit.blob_store import Location
from winnow.audit.chains import chain_of
from winnow.audit.profiles import SHIPPED, read_profiles
from winnow.audit.sources import JournalSource, TopicSource
from winnow.audit.verify import RecordJudge, Result, Verifier
from winnow.contracts.journals import JOURNALS

PROFILES = read_profiles([SHIPPED])
HOURS, BOOKED = timedelta(hours=9), timedelta(minutes=2)
Tamper = Callable[[Lanes], str]


def events(lanes: Lanes, kind: str) -> list[dict[str, Any]]:
    return [json.loads(document["body"]) for document in holders(lanes, kind)]


def delivered(lanes: Lanes) -> dict[str, Any]:
    """Return the newest delivery, so that its verdicts are there too."""
    return max(events(lanes, "task.delivered"), key=lambda event: event["occurred_at"])


def verdicts_of_delivery(lanes: Lanes) -> tuple[dict[str, Any], int]:
    """Return the scored chunk that holds a delivered candidate, and the place of the candidate in it."""
    wanted = delivered(lanes)["outputs"][0]["candidate_id"]
    for event in events(lanes, "candidates.scored"):
        for place, candidate in enumerate(event["candidates"]):
            if candidate["candidate_id"] == wanted:
                return event, place
    raise AssertionError(wanted)


def end_hours_late(lanes: Lanes) -> str:
    event = delivered(lanes)

    def edit(body: dict[str, Any]) -> None:
        body["occurred_at"] = (datetime.fromisoformat(body["occurred_at"]) + HOURS).isoformat()

    edit_event(lanes, event, edit)
    return f"deadline {event['task_id']} task.delivered came 3"


def record_no_threshold(lanes: Lanes) -> str:
    event, place = verdicts_of_delivery(lanes)

    def edit(body: dict[str, Any]) -> None:
        body["candidates"][place]["dimensions"][1]["threshold"] = 0

    edit_event(lanes, event, edit)
    candidate = event["candidates"][place]
    return (
        f"verdict {event['task_id']} {candidate['candidate_id']}: {candidate['dimensions'][1]['name']} is recorded"
        " with the threshold 0.0"
    )


def excuse_what_was_not_taken(lanes: Lanes) -> str:
    event, place = verdicts_of_delivery(lanes)
    dimensions = event["candidates"][place]["dimensions"]
    victim = next(number for number, dimension in enumerate(dimensions) if dimension["required"] and number)

    def edit(body: dict[str, Any]) -> None:
        body["candidates"][place]["dimensions"][victim] |= {
            "status": "unavailable",
            "raw": None,
            "score": None,
            "required": False,
            "passed": False,
        }

    edit_event(lanes, event, edit)
    name = dimensions[victim]["name"]
    return f"verdict {event['task_id']} {event['candidates'][place]['candidate_id']}: {name} is recorded as not required"


def lower_a_raw_value(lanes: Lanes) -> str:
    """Leave score and verdict as they are: only the profile says what the raw value gives."""
    event, place = verdicts_of_delivery(lanes)
    dimensions = event["candidates"][place]["dimensions"]
    victim = next(number for number, dimension in enumerate(dimensions) if dimension["name"] == "sharpness")

    def edit(body: dict[str, Any]) -> None:
        body["candidates"][place]["dimensions"][victim]["raw"] = -10.0

    edit_event(lanes, event, edit)
    return f"gate {event['task_id']} 1 outputs were delivered that did not pass"


def leave_out_a_dimension(lanes: Lanes) -> str:
    event, place = verdicts_of_delivery(lanes)
    candidate = event["candidates"][place]

    def edit(body: dict[str, Any]) -> None:
        del body["candidates"][place]["dimensions"][0]

    edit_event(lanes, event, edit)
    name = candidate["dimensions"][0]["name"]
    return f"verdict {event['task_id']} {candidate['candidate_id']}: the required dimension {name} of"


def name_a_profile(change: dict[str, Any], expected: str) -> Tamper:
    def tamper(lanes: Lanes) -> str:
        event, _ = verdicts_of_delivery(lanes)
        edit_event(lanes, event, lambda body: body["profile"].update(change))
        return f"{expected} {event['task_id']} "

    tamper.__name__ = f"name_another_profile_{'_'.join(change)}"
    return tamper


def name_another_content(lanes: Lanes) -> str:
    event, _ = verdicts_of_delivery(lanes)
    edit_event(lanes, event, lambda body: body.update(profile_sha256="1" * 64))
    return f"profile not at hand {event['profile']['name']}@{event['profile']['version']} "


def name_the_content_of_another_profile(lanes: Lanes) -> str:
    event, _ = verdicts_of_delivery(lanes)
    other = next(
        profile.sha256 for profile in PROFILES.values() if profile.ref.name != event["profile"]["name"]
    )
    edit_event(lanes, event, lambda body: body.update(profile_sha256=other))
    return f"profile {event['task_id']} "


def spend_what_is_not_there(lanes: Lanes) -> str:
    """Hold one micro-credit more than an account has, in postings and balances alike."""
    entries = events(lanes, "entry.recorded")
    newest: dict[str, dict[str, Any]] = {}
    for entry in entries:
        account = newest.setdefault(entry["account_id"], entry)
        newest[entry["account_id"]] = max(account, entry, key=lambda entry: entry["sequence"])
    last = max(newest.values(), key=lambda event: event["sequence"])
    account_id, more = last["account_id"], last["available_credits_micro"] + 1

    def edit(body: dict[str, Any]) -> None:
        body["available_credits_micro"] -= more
        body["held_credits_micro"] += more
        for account, amount in (("available", -more), ("held", more)):
            name = f"customer:{account_id}:{account}"
            body["postings"].append({"account": name, "amount_micro": amount, "unit": "credits_micro"})

    edit_event(lanes, last, edit)
    return f"never below zero {account_id} after {last['entry_id']} available is -1 "


def owe_more_than_the_attempts_cost(lanes: Lanes) -> str:
    """Book a cost twice over: the postings still sum to zero."""
    closed = {event["task_id"]: event["occurred_at"] for event in events(lanes, "task.selected")}
    late = {
        event["task_id"]
        for event in events(lanes, "attempt.finished")
        if event["occurred_at"] >= closed.get(event["task_id"], "")
    }
    bills = [event for event in events(lanes, "entry.recorded") if event["kind"] == "settle"]
    # An archive holds an entry in the journal and in its topic; of the newest, the topic's may not be in it yet.
    copies = Counter(bill["entry_id"] for bill in bills)
    whole = [bill for bill in bills if copies[bill["entry_id"]] == max(copies.values())]
    entry = max(
        (bill for bill in whole if bill["task_id"] in closed.keys() - late),
        key=lambda bill: bill["occurred_at"],
    )

    def edit(body: dict[str, Any]) -> None:
        for account, amount in (("provider_cost_variance", 7), ("provider_payable", -7)):
            body["postings"].append(
                {"account": f"house:{account}", "amount_micro": amount, "unit": "usd_micro"}
            )

    edit_event(lanes, entry, edit)
    return f"provider cost {entry['task_id']} the books owe providers "


OF_TOPICS: list[Tamper] = [
    record_no_threshold,
    excuse_what_was_not_taken,
    lower_a_raw_value,
    leave_out_a_dimension,
    name_a_profile({"name": "product_of_a_forger"}, "profile"),
    name_a_profile({"version": 99}, "profile"),
    name_another_content,
    name_the_content_of_another_profile,
]
"""Verdicts lie in the topics alone: the scorer keeps no journal."""
OF_ALL: list[Tamper] = [end_hours_late, spend_what_is_not_there, owe_more_than_the_attempts_cost]


def verified(lanes: Lanes, kind: str) -> Result:
    """Verify the lanes of a kind as the command does once it has read them."""
    verifier = Verifier(kind, RecordJudge(PROFILES), kinds=[kind])
    for lane, items in lanes.items():
        for document in items if lane.startswith(kind) else ():
            verifier.take(lane, document)
    return verifier.close(datetime.now(UTC) + BOOKED)


def said(result: Result) -> list[str]:
    return [f"{finding.check} {finding.subject} {finding.text}" for finding in result.findings]


async def one_delivery(line: RunningLine) -> None:
    async with line.client() as client:
        task = await client.end(await client.order(k=1))
        assert task["state"] == "delivered"


async def topics_of(line: RunningLine) -> Lanes:
    lanes: Lanes = {}
    async with TopicSource.at(line.addresses.kafka_bootstrap) as topics:
        async for chain, record in topics.items(chain_of):
            lanes.setdefault(chain.lane, []).append(record)
    return lanes


@pytest.mark.timeout(120)
async def test_topics_that_break_a_promise_are_named(small_line: RunningLine) -> None:
    await one_delivery(small_line)
    lanes = await topics_of(small_line)
    assert said(verified(lanes, "topic")) == []
    for tamper in [*OF_TOPICS, *OF_ALL]:
        forged = copy.deepcopy(lanes)
        expected = tamper(forged)
        found = said(verified(forged, "topic"))
        assert any(finding.startswith(expected) for finding in found), (tamper.__name__, expected, found)


@pytest.mark.timeout(120)
async def test_journals_that_break_a_promise_are_named(small_line: RunningLine) -> None:
    """The blocks are written back to the database, and taken away again."""
    await one_delivery(small_line)
    uri = small_line.addresses.mongo_uri
    for tamper in OF_ALL:
        producer = "delivery" if tamper is end_hours_late else "ledger"
        database = JOURNALS[producer].database
        lanes = await journals_of(uri)
        assert said(verified(lanes, "journal")) == []
        forged = copy.deepcopy(lanes)
        expected = tamper(forged)
        changed = [lane for lane in lanes if forged[lane] != lanes[lane]]
        assert all(lane_name.startswith(f"journal/{producer}/") for lane_name in changed), changed
        with pymongo.MongoClient[dict[str, Any]](uri, tz_aware=True) as client:
            journal = client[database]["journal"]
            try:
                for lane in changed:
                    await asyncio.to_thread(replace_all, journal, forged[lane])
                found = said(verified(await journals_of(uri), "journal"))
            finally:
                for lane in changed:
                    await asyncio.to_thread(replace_all, journal, lanes[lane])
        assert any(finding.startswith(expected) for finding in found), (tamper.__name__, expected, found)
    assert said(verified(await journals_of(uri), "journal")) == []


def replace_all(journal: Any, blocks: list[dict[str, Any]]) -> None:
    for block in blocks:
        journal.replace_one({"_id": block["_id"]}, block)


async def journals_of(uri: str) -> Lanes:
    lanes: Lanes = {}
    async with JournalSource.at(uri) as journals:
        async for chain, block in journals.items(chain_of):
            lanes.setdefault(chain.lane, []).append(block)
    return lanes


@pytest.mark.timeout(180)
async def test_an_archive_that_breaks_a_promise_is_named(small_line: RunningLine, tmp_path: Path) -> None:
    await one_delivery(small_line)
    folder, forged = tmp_path / "archive", tmp_path / "forged"
    code, output = await small_line.winnow("audit", "archive", "--archive", str(folder))
    assert code == 0, output
    lanes = await asyncio.to_thread(read_lanes, folder)
    now = datetime.now(UTC)
    for tamper in [*OF_TOPICS, *OF_ALL]:
        edited = copy.deepcopy(lanes)
        expected = tamper(edited)
        await asyncio.to_thread(write_lanes, forged, edited)
        found = said(await verify_archive(Location(str(forged)), {}, now, profiles=PROFILES, processes=1))
        assert any(finding.startswith(expected) for finding in found), (tamper.__name__, expected, found)
        assert not any(finding.startswith("published") for finding in found), found


async def test_verdicts_of_a_mounted_profile_need_its_directory(
    small_line: RunningLine, tmp_path: Path
) -> None:
    """With its profile hidden a verdict is called unjudged; with the directory given it is sound."""
    await one_delivery(small_line)
    shipped = {path.name: path.read_text() for path in SHIPPED.glob("*.yaml")}
    for name, text in shipped.items():
        (tmp_path / name).write_text(text)
    lanes = await topics_of(small_line)
    verifier = Verifier("topics", RecordJudge({}), kinds=["topic"])
    for lane, items in lanes.items():
        for document in items:
            verifier.take(lane, document)
    found = said(verifier.close(datetime.now(UTC)))
    assert found
    assert all(finding.startswith("profile not at hand") for finding in found)
    code, output = await small_line.winnow(
        "audit", "verify", "--from", "topics", "--profiles", str(tmp_path), "--json"
    )
    assert (code, json.loads(output)["findings"]) == (0, [])

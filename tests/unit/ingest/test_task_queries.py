"""The life of a task as clients read it."""

from __future__ import annotations

import asyncio
import json

from services.ingest.domain.keys import Scope
from tests.unit.ingest.builders import place, tell
from tests.unit.ingest.events import OFFERING
from tests.unit.ingest.fakes import CREDIT
from tests.unit.ingest.ingest_app import IngestApp, running
from winnow.adapters.partitions import Source
from winnow.contracts.topics import TASKS
from winnow.contracts.values import EntryKind


async def test_a_delivered_task_reads_as_what_happened():
    world = IngestApp()
    async with running(world) as client:
        headers = await world.key("acct_one", Scope.tasks_write, Scope.tasks_read, Scope.operator)
        tale = await place(world, client, headers)
        tell(world, tale)
        await world.settle()
        path = f"/v1/tasks/{tale.ids['task_id']}"
        task = (await client.get(path, headers=headers)).json()
        candidates = (await client.get(f"{path}/candidates", headers=headers)).json()["candidates"]
        outputs = (await client.get(f"{path}/outputs?expires_in_s=60", headers=headers)).json()["outputs"]
    assert (task["state"], task["complete"], task["outputs_count"]) == ("delivered", True, 1)
    assert {state: count for state, count in task["funnel"].items() if count} == {
        "rejected": 1,
        "delivered": 1,
    }
    assert task["failure_reasons"] == {"sharpness": 1}
    assert task["rounds"][0]["decision"] == "select"
    (route,) = task["routes"]
    assert (route["offering"], route["passed_count"], route["candidates_count"]) == (OFFERING, 1, 2)
    assert task["spend"] == {"expected_usd_micro": 100, "actual_usd_micro": 90, "cap_usd_micro": 120_000}
    assert task["settlement"]["released_credits_micro"] == 2 * CREDIT
    assert [candidate["state"] for candidate in candidates] == ["delivered", "rejected"]
    assert candidates[1]["reasons"] == ["sharpness"]
    assert candidates[1]["dimensions"][0]["evidence"] == {"laplacian.variance": 1.5}
    (output,) = outputs
    assert output["url"] == f"http://files/{tale.output}"
    assert output["expires_in_s"] == 60
    assert "winnow-private" not in json.dumps([task, candidates, outputs])


async def test_the_bill_explains_and_shows_the_margin_to_operators_only():
    world = IngestApp()
    async with running(world) as client:
        headers = await world.key()
        tale = await place(world, client, headers)
        tell(world, tale)
        world.say(tale.entry(EntryKind.settle, 2 * CREDIT), "ledger", 1)
        world.say(tale.entry(EntryKind.refund, CREDIT), "ledger", 2)
        await world.settle()
        path = f"/v1/tasks/{tale.ids['task_id']}/bill"
        bill = (await client.get(path, headers=headers)).json()
        operators = await world.key("acct_one", Scope.tasks_read, Scope.operator)
        priced = (await client.get(path, headers=operators)).json()
    assert (bill["promised_count"], bill["delivered_count"]) == (2, 1)
    assert bill["reserved_credits_micro"] == bill["charged_credits_micro"] + bill["released_credits_micro"]
    assert bill["refunded_credits_micro"] == CREDIT
    assert bill["is_final"]
    assert priced["routes"][0]["cost_per_accepted_usd_micro"] == 90
    assert [entry["kind"] for entry in bill["entries"]] == ["settle", "refund"]
    assert {name for name, value in bill.items() if value is None} == {
        "routes",
        "margin",
        "expected_cost_usd_micro",
        "actual_cost_usd_micro",
        "cost_cap_usd_micro",
        "cost_per_delivered_usd_micro",
        "attempts_count",
    }
    assert None not in priced.values()
    assert priced["margin"]["margin_usd_micro"] == CREDIT - 90


async def test_the_stream_gives_every_event_once_ends_and_hides_what_is_internal():
    world = IngestApp()
    async with running(world) as client:
        headers = await world.key()
        tale = await place(world, client, headers)
        tell(world, tale, 4)
        await world.settle()
        path = f"/v1/tasks/{tale.ids['task_id']}/events"
        following = asyncio.create_task(client.get(path, headers=headers))
        await asyncio.sleep(0)
        sequences = {"ledger": 1, "router": 3}
        for producer, event in tale.whole()[4:]:
            sequences[producer] = sequences.get(producer, 0) + 1
            world.say(event, producer, 0 if producer == "scorer" else sequences[producer])
        await world.settle()
        stream = await following
        resumed = await client.get(path, headers=headers | {"Last-Event-ID": "9"})
    events = [block.split("\n") for block in stream.text.split("\n\n") if block.startswith("id:")]
    assert stream.headers["content-type"].startswith("text/event-stream")
    assert [lines[0] for lines in events] == [f"id: {number}" for number in range(1, 12)]
    assert events[-1][1] == "event: task.settled"
    told = json.loads(events[-1][2].removeprefix("data: "))
    assert told["fields"]["settled_credits_micro"] == 2 * CREDIT
    assert "candidates/" not in stream.text
    assert "secret-reference" not in stream.text
    assert [line for line in resumed.text.split("\n") if line.startswith("id:")] == ["id: 10", "id: 11"]


async def test_a_record_that_is_read_again_changes_nothing():
    world = IngestApp()
    async with running(world) as client:
        tale = await place(world, client, await world.key())
        tell(world, tale)
        await world.settle()
        before = (dict(world.views.tasks_kept), dict(world.views.full), dict(world.views.segments))
        for lane in list(world._read):
            world._read[lane] = 0
        world.projection._held.clear()
        await world.settle()
    assert before == (world.views.tasks_kept, world.views.full, world.views.segments)


async def test_an_event_that_is_published_twice_is_counted_once():
    world = IngestApp()
    async with running(world) as client:
        tale = await place(world, client, await world.key())
        tell(world, tale)
        tell(world, tale)
        await world.settle()
    view = world.views.views[tale.ids["task_id"]]
    assert view.events_count == 11
    assert view.routes[OFFERING].attempts_count == 1
    assert view.out_of_order_count == 0


async def test_tasks_are_paged_newest_first_and_only_ones_own():
    world = IngestApp()
    async with running(world) as client:
        headers = await world.key()
        made = []
        for number in range(5):
            world.clock.pass_s(1)
            made.append((await place(world, client, headers, f"order-{number}")).ids["task_id"])
        await place(world, client, await world.key("acct_two"), "order-other")
        first = (await client.get("/v1/tasks?limit=2", headers=headers)).json()
        second = (
            await client.get(
                "/v1/tasks", params={"limit": 2, "cursor": first["next_cursor"]}, headers=headers
            )
        ).json()
        third = (
            await client.get(
                "/v1/tasks", params={"limit": 2, "cursor": second["next_cursor"]}, headers=headers
            )
        ).json()
        none = (await client.get("/v1/tasks?state=delivered", headers=headers)).json()
        bad = await client.get("/v1/tasks?cursor=nonsense", headers=headers)
    pages = [[task["id"] for task in page["tasks"]] for page in (first, second, third)]
    assert pages == [made[:2:-1], made[2:0:-1], made[:1]]
    assert third["next_cursor"] is None
    assert none["tasks"] == []
    assert bad.json()["code"] == "invalid_request"


async def test_another_accounts_task_is_not_found_anywhere():
    world = IngestApp()
    async with running(world) as client:
        tale = await place(world, client, await world.key())
        tell(world, tale)
        await world.settle()
        stranger = await world.key("acct_two", *Scope)
        path = f"/v1/tasks/{tale.ids['task_id']}"
        paths = ("", "/candidates", "/outputs", "/bill", "/events", f"/candidates/{tale.first}/preview")
        answers = [await client.get(path + tail, headers=stranger) for tail in paths]
        answers.append(await client.post(f"{path}/cancel", headers=stranger))
    assert {answer.status_code for answer in answers} == {404}


async def test_a_candidates_picture_is_shown_to_operators_of_its_account_only():
    world = IngestApp()
    async with running(world) as client:
        tale = await place(world, client, await world.key())
        tell(world, tale)
        await world.settle()
        world.files.objects[f"candidates/{tale.second}"] = b"a picture"
        path = f"/v1/tasks/{tale.ids['task_id']}/candidates/{tale.second}/preview"
        shown = await client.get(path, headers=await world.key("acct_one", Scope.operator))
        refused = await client.get(path, headers=await world.key())
    assert (shown.content, shown.headers["content-type"]) == (b"a picture", "image/png")
    assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")


async def test_a_record_that_cannot_be_folded_is_named_and_those_before_it_are_kept(monkeypatch):
    from services.ingest.app import projection
    from services.ingest.domain.task_row import fold_row

    world = IngestApp()
    async with running(world) as client:
        tale = await place(world, client, await world.key())
        tell(world, tale, 4)

        def broken(row, recorded, offset):
            if recorded.message.type == "attempt.submitted":
                raise KeyError
            return fold_row(row, recorded, offset)

        monkeypatch.setattr(projection, "fold_row", broken)
        ((lane, records),) = [
            item for item in world.topic.items() if item[0][0] == TASKS.name and len(item[1]) > 3
        ]
        start = world._read[lane]
        consumed = await world.consumer.handle(Source(*lane), records[start:])
    at = next(
        record.offset
        for record in records
        if record.recorded and record.recorded.message.type == "attempt.submitted"
    )
    assert (consumed.next_offset, type(consumed.failed)) == (at, KeyError)
    assert world.views.views[tale.ids["task_id"]].state == "generating"

"""The promises as stories, told through the public API."""

from __future__ import annotations

import asyncio
import hashlib
import json
from typing import Any

import httpx
import pytest

from tests.support.eventually import eventually
from tests.support.servers.line import CREDIT, RunningLine
from tests.support.truth import judged_defect, truth_of
from tests.unit.scorer.photographs import png, portrait, reshaped
from winnow.contracts.ids import derive_seed


def money_adds_up(task: Any, bill: Any) -> None:
    settlement = task["settlement"]
    assert (
        settlement["reserved_credits_micro"]
        == settlement["settled_credits_micro"] + settlement["released_credits_micro"]
    )
    assert (
        settlement["settled_credits_micro"]
        == bill["price_per_output_credits_micro"] * settlement["delivered_count"]
    )


async def test_k_outputs_are_delivered_and_only_they_are_charged(line: RunningLine) -> None:
    async with line.client(credit_count=100) as client:
        task_id = await client.order(k=3)
        task = await client.end(task_id)
        assert task["state"] == "delivered", task
        bill = await client.get(f"/v1/tasks/{task_id}/bill")
        money_adds_up(task, bill)
        assert bill["delivered_count"] == 3
        outputs = (await client.get(f"/v1/tasks/{task_id}/outputs"))["outputs"]
        passed = {
            candidate["candidate_id"] for candidate in await client.candidates(task_id) if candidate["passed"]
        }
        assert len(outputs) == 3
        assert {delivered["candidate_id"] for delivered in outputs} <= passed
        async with httpx.AsyncClient() as http:
            for output in outputs:
                answer = await http.get(output["url"])
                assert answer.status_code == 200
                assert len(answer.content) == output["size_bytes"]
                assert hashlib.sha256(answer.content).hexdigest() == output["sha256"]
                assert "attachment" in answer.headers["content-disposition"]
        balance = await client.balance()
        assert balance["held_credits_micro"] == 0
        assert (
            balance["available_credits_micro"] == 100 * CREDIT - task["settlement"]["settled_credits_micro"]
        )


@pytest.mark.one_bus
async def test_candidates_are_compared_with_the_uploaded_portrait(line: RunningLine) -> None:
    """The simulators' portraits show the person of ``portrait``; another person is that one out of proportion."""
    async with line.client() as client:
        distances = {}
        for name, picture in (("same", portrait()), ("other", reshaped(portrait()))):
            uploaded = await client.http.post(
                "/v1/inputs", content=png(picture), headers={"content-type": "image/png"}
            )
            task_id = await client.order(k=1, inputs=[uploaded.json()["input_id"]])
            task = await client.end(task_id)
            measured = [
                dimension
                for candidate in await client.candidates(task_id)
                for dimension in candidate["dimensions"]
                if dimension["name"] == "identity_distance" and dimension["status"] == "ok"
            ]
            distances[name] = [measurement["raw"] for measurement in measured]
            assert distances[name], task
            assert all(measurement["passed"] == (name == "same") for measurement in measured)
            assert task["state"] == ("delivered" if name == "same" else "failed")
        assert max(distances["same"]) < 0.5 < min(distances["other"])


async def test_a_second_round_follows_when_too_few_pass(line: RunningLine) -> None:
    for provider in ("fal", "replicate", "openai"):
        await line.control(provider, forced_defects=["blur"] * 7)
    async with line.client() as client:
        task_id = await client.order(k=3, cost_cap_usd_micro=2_000_000)
        task = await client.end(task_id)
        assert len(task["rounds"]) >= 2
        assert task["rounds"][0]["decision"] == "regenerate"
        assert task["state"] == "delivered", task["end"]
        # How many depends on which providers the round went to; each was told to blur its first seven.
        assert task["failure_reasons"]["sharpness:below_threshold"] >= 3


@pytest.mark.one_bus
async def test_a_picture_that_is_cut_short_is_judged_and_replaced(line: RunningLine) -> None:
    for provider in ("fal", "replicate", "openai"):
        await line.control(provider, forced_defects=["truncated", None, "truncated"])
    async with line.client(credit_count=100) as client:
        task_id = await client.order(k=2, cost_cap_usd_micro=2_000_000)
        task = await client.end(task_id)
        assert task["state"] == "delivered", task["end"]
        truth = await truth_of(line, client, task_id)
        candidates = {candidate["candidate_id"]: candidate for candidate in await client.candidates(task_id)}
        cut = [candidates[key] for key, made in truth.items() if made["defect"] == "truncated"]
        assert cut, "no picture was cut short, so nothing was shown"
        for candidate in cut:
            decodable = next(row for row in candidate["dimensions"] if row["name"] == "decodable")
            assert (candidate["passed"], decodable["passed"], decodable["raw"]) == (False, False, 0.0)
            assert candidate["reasons"][0] == "decodable:below_threshold"
            assert candidate["output_id"] is None
        assert task["failure_reasons"]["decodable:below_threshold"] == len(cut)
        bill = await client.get(f"/v1/tasks/{task_id}/bill")
        money_adds_up(task, bill)
        assert bill["delivered_count"] == 2


@pytest.mark.one_bus
async def test_an_outage_falls_back_to_another_provider(line: RunningLine) -> None:
    await line.control("fal", outage=True)
    async with line.client() as client:
        task_id = await client.order(k=2)
        task = await client.end(task_id)
        assert task["state"] == "delivered", task["end"]
        providers = {route["provider"] for route in task["routes"] if route["candidates_count"]}
        assert providers
        assert "fal" not in providers


async def test_fewer_than_k_are_delivered_and_the_rest_is_released(line: RunningLine) -> None:
    # Everything but the first picture is blurred, in every round.
    for provider in ("fal", "replicate", "openai"):
        await line.control(provider, forced_defects=[None, *["blur"] * 300])
    async with line.client() as client:
        task_id = await client.order(k=6)
        task = await client.end(task_id)
        assert task["state"] == "partially_delivered", task["end"]
        bill = await client.get(f"/v1/tasks/{task_id}/bill")
        money_adds_up(task, bill)
        assert 0 < bill["delivered_count"] < 6
        assert task["settlement"]["released_credits_micro"] > 0
        assert task["end"]["missing_count"] == 6 - bill["delivered_count"]


@pytest.mark.one_bus
async def test_nothing_is_charged_when_nothing_passes(line: RunningLine) -> None:
    for provider in ("fal", "replicate", "openai"):
        await line.control(provider, forced_defects=["blur"] * 300)
    async with line.client(credit_count=50) as client:
        task_id = await client.order(k=1)
        task = await client.end(task_id)
        assert task["state"] == "failed"
        assert task["settlement"]["settled_credits_micro"] == 0
        assert (await client.balance())["available_credits_micro"] == 50 * CREDIT


@pytest.mark.one_bus
async def test_an_order_beyond_the_balance_is_refused_with_the_shortfall(line: RunningLine) -> None:
    async with line.client(credit_count=1) as client:
        answer = await client.submit(k=6)
        assert answer.status_code == 402, answer.text
        problem = answer.json()
        assert problem["code"] == "insufficient_credits"
        assert problem["shortfall_credits_micro"] > 0
        assert (await client.balance())["available_credits_micro"] == CREDIT
        assert (await client.get("/v1/tasks"))["tasks"] == []


async def test_cancel_releases_everything_and_a_second_one_is_refused(line: RunningLine) -> None:
    for provider in ("fal", "replicate", "openai"):
        await line.control(provider, latency_s=20.0)
    async with line.client(credit_count=50) as client:
        task_id = await client.order(k=2)
        answer = await client.http.post(f"/v1/tasks/{task_id}/cancel")
        assert answer.status_code in {200, 202}, answer.text
        task = await client.end(task_id)
        assert task["state"] == "cancelled"
        assert task["settlement"]["settled_credits_micro"] == 0
        assert (await client.balance())["available_credits_micro"] == 50 * CREDIT
        again = await client.http.post(f"/v1/tasks/{task_id}/cancel")
        assert again.status_code == 409
        assert again.json()["code"] in {"already_ended", "cancel_already_requested"}


@pytest.mark.one_bus
async def test_the_same_key_makes_one_task_and_another_body_is_a_conflict(line: RunningLine) -> None:
    async with line.client() as client:
        answers = await asyncio.gather(*(client.submit(key="once", k=1) for _ in range(8)))
        assert {answer.status_code for answer in answers} == {202}, [answer.text for answer in answers]
        assert len({answer.text for answer in answers}) == 1
        other = await client.submit(key="once", k=2)
        assert other.status_code == 409
        assert other.json()["code"] == "idempotency_key_reused"
        task_id = answers[0].json()["id"]
        await client.end(task_id)
        assert [task["id"] for task in (await client.get("/v1/tasks"))["tasks"]] == [task_id]


async def test_a_webhook_is_received_and_verified_even_when_the_first_attempts_fail(
    line: RunningLine,
) -> None:
    async with line.client() as client:
        url = f"{line.line.receiver_url}/hook/{client.account_id}"
        made = await client.http.post("/v1/webhook-endpoints", json={"url": url})
        assert made.status_code == 201, made.text
        await line.control("receiver", secrets=[made.json()["secret"]], fail_next=2, fail_status=500)
        task_id = await client.order(k=1)
        await client.end(task_id)

        async def delivered() -> Any:
            log = (await client.get("/v1/webhook-deliveries", task_id=task_id))["deliveries"]
            return log if log and log[0]["state"] == "delivered" else None

        log = await eventually(delivered, within_s=40)
        assert [attempt["status"] for attempt in log[0]["attempts"]] == [500, 500, 200]
        assert len(log) == 1
        seen = await line.ask("receiver", "/_deliveries")
        ours = [received for received in seen if task_id in json.dumps(received)]
        assert ours
        assert [row["answered"] for row in ours] == [500, 500, 200]
        assert all(row["verified"] for row in ours)
        assert len({row["webhook_id"] for row in ours}) == 1


async def test_events_stream_to_the_end_and_resume_where_they_were_left(line: RunningLine) -> None:
    async with line.client() as client:
        task_id = await client.order(k=1)
        first = await _stream(client, task_id)
        assert first[0][1] == "task.accepted"
        assert {"task.funded", "round.planned", "candidates.scored", "task.selected", "task.delivered"} <= {
            kind for _, kind in first
        }
        middle = first[len(first) // 2][0]
        rest = await _stream(client, task_id, last_event_id=middle)
        assert rest == [event for event in first if int(event[0]) > int(middle)]


async def _stream(client: Any, task_id: str, last_event_id: str = "") -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    headers = {"last-event-id": last_event_id} if last_event_id else {}
    async with client.http.stream(
        "GET", f"/v1/tasks/{task_id}/events", headers=headers, timeout=60
    ) as answer:
        assert answer.status_code == 200
        number = ""
        async for line_ in answer.aiter_lines():
            if line_.startswith("id:"):
                number = line_[3:].strip()
            elif line_.startswith("event:"):
                found.append((number, line_[6:].strip()))
    return found


@pytest.mark.one_bus
async def test_a_link_expires(line: RunningLine) -> None:
    async with line.client() as client:
        task_id = await client.order(k=1)
        await client.end(task_id)
        answer = await client.get(f"/v1/tasks/{task_id}/outputs", expires_in_s=1)
        url = answer["outputs"][0]["url"]
        async with httpx.AsyncClient() as http:

            async def refused() -> bool:
                return (await http.get(url)).status_code == 403

            assert await eventually(refused, within_s=15, every_s=0.2)


@pytest.mark.one_bus
async def test_nothing_of_one_account_is_visible_to_another(line: RunningLine) -> None:
    async with line.client() as owner, line.client() as other:
        task_id = await owner.order(k=1)
        await owner.end(task_id)
        for path in ("", "/candidates", "/outputs", "/bill", "/events"):
            answer = await other.http.get(f"/v1/tasks/{task_id}{path}")
            assert answer.status_code == 404, path
            assert answer.json()["code"] == "not_found"
        assert (await other.http.post(f"/v1/tasks/{task_id}/cancel")).status_code == 404
        assert (await other.get("/v1/tasks"))["tasks"] == []


@pytest.mark.one_bus
async def test_stable_mode_uses_one_offering_and_its_seeds_repeat_the_pictures(line: RunningLine) -> None:
    """Each seed follows from task, round and index, reaches the provider, and gives the same bytes again."""
    prompt = "product photo of a mug"
    async with line.client() as client:
        task_id = await client.order(template="product_shot", mode="stable", k=2, prompt=prompt)
        task = await client.end(task_id)
        assert task["state"] == "delivered", task["end"]
        candidates = await client.candidates(task_id)
        made = await truth_of(line, client, task_id)
    assert {candidate["offering"] for candidate in candidates if candidate["offering"]} == {
        "simulated-replicate"
    }
    for candidate in candidates:
        assert candidate["seed"] == derive_seed(task_id, candidate["round_index"], candidate["index"])
    bills = {bill["request_id"]: bill for bill in (await line.ask("replicate", "/_ledger"))["lines"]}
    calls = {truth["request_id"] for truth in made.values()}
    assert calls
    for call in calls:
        assert bills[call]["seed_given"]
        assert bills[call]["seed"] in {candidate["seed"] for candidate in candidates}
    call = min(calls)
    again = await _predicted(line, prompt, bills[call]["seed"], bills[call]["image_count"])
    before = {truth["sha256"] for truth in made.values() if truth["request_id"] == call}
    assert before
    assert before <= again


async def _predicted(line: RunningLine, prompt: str, seed: int, count: int) -> set[str]:
    """Ask the simulated provider as the router does; returns the digests of the pictures."""
    given = {
        "output_format": "jpg",
        "prompt": prompt,
        "num_outputs": count,
        "aspect_ratio": "1:1",
        "width": 1024,
        "height": 1024,
        "seed": seed,
    }
    headers = {"authorization": "Bearer simulated", "prefer": "wait"}
    base_url = line.line.simulator_url("replicate")
    async with httpx.AsyncClient(base_url=base_url, headers=headers, timeout=60) as http:
        path = "/v1/models/simulated/replicate/predictions"
        prediction = (await http.post(path, json={"input": given})).json()
        assert prediction["status"] == "succeeded", prediction
        pictures = [(await http.get(url)).content for url in prediction["output"]]
    return {hashlib.sha256(picture).hexdigest() for picture in pictures}


@pytest.mark.one_bus
async def test_nothing_delivered_has_a_defect_that_its_profile_judges(line: RunningLine) -> None:
    """The simulators plant a defect in every second picture and know in which; the line does not."""
    for provider in ("fal", "replicate", "openai"):
        await line.control(provider, forced_defects=["blur", None, "closed_eyes", None] * 20)
    async with line.client() as client:
        task_id = await client.order(k=4)
        task = await client.end(task_id)
        assert task["state"] == "delivered", task["end"]
        made = await truth_of(line, client, task_id)
        candidates = {candidate["candidate_id"]: candidate for candidate in await client.candidates(task_id)}
        outputs = (await client.get(f"/v1/tasks/{task_id}/outputs"))["outputs"]
    delivered = {output["candidate_id"] for output in outputs}
    spoilt = {key for key, truth in made.items() if judged_defect(truth, candidates[key])}
    assert len(delivered) == 4
    assert delivered <= set(made)
    assert spoilt, "no picture had a planted defect, so nothing was shown"
    assert not delivered & spoilt
    assert {candidate_id for candidate_id in made if candidates[candidate_id]["passed"]} == set(made) - spoilt

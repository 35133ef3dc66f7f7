"""The router as a process of its own on real servers; the test plays ingest, ledger and scorer."""

from __future__ import annotations

import asyncio
import hashlib
import signal
from collections.abc import AsyncIterator, Iterator
from typing import Any

import grpc
import grpc.aio
import httpx
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from tests.integration.router_process import BUCKET, SHARDS, Others, Processes
from tests.support.eventually import eventually
from winnow.adapters.object_store import ObjectStore
from winnow.adapters.topics import apply_topics
from winnow.contracts.topics import SCORER_COMMAND_TOPIC, TASKS
from winnow.local.ports import choose
from winnow.local.stack import Addresses
from winnow.rpc.router.v1 import router_pb2 as pb
from winnow.rpc.router.v1 import router_pb2_grpc as pb_grpc


@pytest.fixture(scope="module")
def addresses(servers: Addresses) -> Addresses:
    asyncio.run(apply_topics(servers.kafka_bootstrap, shards=SHARDS, replicas=1))
    return servers


@pytest.fixture(scope="module")
def running(addresses: Addresses, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Processes]:
    processes = Processes(addresses, tmp_path_factory.mktemp("router") / "router.log")
    processes.ports = choose(["ops", "grpc", "fal"], {})
    processes.start_simulator()
    processes.start_router()
    try:
        yield processes
    finally:
        assert processes.router is not None
        assert processes.simulator is not None
        processes.router.send_signal(signal.SIGTERM)
        code = processes.router.wait(timeout=60)
        processes.simulator.terminate()
        processes.simulator.wait(timeout=20)
    assert code == 0, processes.log.read_text()


@pytest.fixture
async def others(addresses: Addresses) -> AsyncIterator[Others]:
    producer = AIOKafkaProducer(
        bootstrap_servers=addresses.kafka_bootstrap, acks="all", enable_idempotence=False
    )
    consumer = AIOKafkaConsumer(
        TASKS.name,
        SCORER_COMMAND_TOPIC.name,
        bootstrap_servers=addresses.kafka_bootstrap,
        auto_offset_reset="latest",
        fetch_max_wait_ms=5,
    )
    objects = ObjectStore(
        addresses.s3_endpoint, "us-east-1", addresses.s3_access_key, addresses.s3_secret_key
    )
    await producer.start()
    await consumer.start()
    await consumer.seek_to_end()
    for partition in consumer.assignment():
        await consumer.position(partition)
    try:
        yield Others(producer, consumer, objects)
    finally:
        await consumer.stop()
        await producer.stop()
        await objects.close()


@pytest.fixture
async def router(running: Processes) -> AsyncIterator[Any]:
    await running.wait_ready()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{running.ports['grpc']}") as channel:
        yield pb_grpc.RouterServiceStub(channel)


async def test_a_funded_task_is_selected_and_its_candidates_lie_in_the_private_bucket(
    running: Processes, others: Others, addresses: Addresses
) -> None:
    await running.wait_ready()
    order = await others.order(1)
    selected = await others.until(order.task_id, "task.selected", "task.failed")
    assert selected["type"] == "task.selected", selected
    assert len(selected["selected"]) == 2
    objects = ObjectStore(
        addresses.s3_endpoint, "us-east-1", addresses.s3_access_key, addresses.s3_secret_key
    )
    for candidate in selected["selected"]:
        body = await objects.get(BUCKET, candidate["stored"]["key"], 50_000_000)
        assert hashlib.sha256(body).hexdigest() == candidate["stored"]["sha256"]
    await objects.close()
    sequences = [event["sequence"] for event in others.of(order.task_id)]
    assert sequences == list(range(1, len(sequences) + 1))


async def test_a_router_that_is_killed_goes_on_and_pays_nothing_twice(
    running: Processes, others: Others
) -> None:
    await running.wait_ready()
    await running.control(latency_s=3.0)
    order = await others.order(2)
    await others.until(order.task_id, "attempt.submitted")

    async def has_arrived() -> bool:
        return any(line["stage"] in {"running", "queued"} for line in await running.submitted_lines())

    await eventually(has_arrived, within_s=20)
    running.kill()
    await running.control(latency_s=0.0)
    running.start_router()
    await running.wait_ready()
    end = await others.until(order.task_id, "task.selected", "task.failed")
    assert end["type"] == "task.selected", end
    await others.read()
    assert len(others.of(order.task_id, "task.selected", "task.failed")) == 1
    distinct = {event["event_id"]: event for event in others.of(order.task_id)}
    submitted = [event for event in distinct.values() if event["type"] == "attempt.submitted"]
    paid = [submission for submission in await running.submitted_lines() if submission["billed_usd_micro"]]
    assert len(paid) <= len(submitted) + 2  # the two calls of the first test
    spent = sum(
        event["actual_cost_usd_micro"] for event in distinct.values() if event["type"] == "attempt.finished"
    )
    assert spent <= order.cost_cap_usd_micro


async def test_a_cancel_releases_the_credits(running: Processes, others: Others) -> None:
    await running.wait_ready()
    await running.control(latency_s=20.0)
    order = await others.order(3)
    await others.until(order.task_id, "attempt.submitted")
    await others.cancel(order)
    cancelled = await others.until(order.task_id, "task.cancelled")
    assert cancelled["released_credits_micro"] == order.reserve_credits_micro
    await others.until(order.task_id, "attempt.finished")
    await running.control(latency_s=0.0)


@pytest.mark.one_bus
async def test_an_outage_fails_no_task_that_can_still_be_made(running: Processes, others: Others) -> None:
    await running.wait_ready()
    await running.control(outage=True, latency_s=0.0)
    order = await others.order(4, k=1)
    await others.until(order.task_id, "attempt.finished")
    await running.control(outage=False)
    end = await others.until(order.task_id, "task.selected", "task.failed")
    assert end["type"] == "task.selected", end


@pytest.mark.one_bus
async def test_the_quote_names_the_expected_and_the_least_cost(router: Any) -> None:
    quote = await router.Quote(
        pb.QuoteRequest(template="studio_headshot", template_version=1, mode="low_cost", k=6), timeout=5
    )
    assert quote.cheapest_cost_usd_micro == 6 * 3000
    assert quote.expected_cost_usd_micro == quote.candidates_expected * 3000
    assert quote.cost_cap_default_usd_micro == 3 * quote.expected_cost_usd_micro


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"template": "nothing"}, grpc.StatusCode.NOT_FOUND),
        ({"mode": "slow"}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"k": 0}, grpc.StatusCode.INVALID_ARGUMENT),
        ({"mode": "stable"}, grpc.StatusCode.FAILED_PRECONDITION),
    ],
)
@pytest.mark.one_bus
async def test_a_wrong_quote_is_refused(
    router: Any, changes: dict[str, Any], status: grpc.StatusCode
) -> None:
    wanted: dict[str, Any] = {
        "template": "studio_headshot",
        "template_version": 1,
        "mode": "low_cost",
        "k": 6,
    }
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await router.Quote(pb.QuoteRequest(**(wanted | changes)), timeout=5)
    assert refused.value.code() is status


@pytest.mark.one_bus
async def test_a_drained_offering_makes_nothing_until_it_is_taken_back(
    running: Processes, others: Others, router: Any
) -> None:
    await running.control(latency_s=0.0)
    drained = await router.Drain(pb.DrainRequest(offering="fal-flux-schnell", drained=True), timeout=5)
    assert drained.offering.drained
    order = await others.order(5, k=1)
    await others.until(order.task_id, "round.planned")

    async def waits() -> bool:
        answer = await router.QueuePosition(
            pb.QueuePositionRequest(task_id=order.task_id, account_id=order.account_id), timeout=5
        )
        return bool(answer.position == 1 and answer.waiting_total == 1)

    await eventually(waits, within_s=20)
    assert others.of(order.task_id, "attempt.submitted") == []
    with pytest.raises(grpc.aio.AioRpcError):
        await router.QueuePosition(
            pb.QueuePositionRequest(task_id=order.task_id, account_id="acct_other"), timeout=5
        )
    await router.Drain(pb.DrainRequest(offering="fal-flux-schnell", drained=False), timeout=5)
    end = await others.until(order.task_id, "task.selected", "task.failed")
    assert end["type"] == "task.selected"
    listed = await router.Offerings(pb.OfferingsRequest(capability="image.headshot"), timeout=5)
    assert [(o.offering, o.price_usd_micro, o.breaker) for o in listed.offerings] == [
        ("fal-flux-schnell", 3000, "closed")
    ]


@pytest.mark.one_bus
async def test_the_figures_are_served(running: Processes) -> None:
    await running.wait_ready()
    async with httpx.AsyncClient() as client:

        async def shows_a_closed_breaker() -> bool:
            # Written every few seconds: it may still show the breaker of the outage before.
            text = (await client.get(f"http://127.0.0.1:{running.ports['ops']}/metrics")).text
            assert 'winnow_router_attempts_total{offering="fal-flux-schnell",outcome="succeeded"}' in text
            return 'winnow_router_breaker_open{offering="fal-flux-schnell"} 0.0' in text

        await eventually(shows_a_closed_breaker)

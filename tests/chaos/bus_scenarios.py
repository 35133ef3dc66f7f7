"""Faults of the bus and of who reads it: lost answers, repeats, poison, storms of members, two owners at once."""

from __future__ import annotations

import asyncio
import random
from functools import partial

from aiokafka import AIOKafkaConsumer

from tests.chaos import poison
from tests.chaos.evidence import TOPICS
from tests.chaos.proxy import CLEAR, Weather
from tests.chaos.scenario import Scenario
from tests.chaos.world import ChaosWorld

_STORM_ROUNDS = 8
_STORM_EVERY_S = 3.0
_FROZEN_S = 25.0
_STORMED = {"winnow-router": TOPICS[0], "winnow-delivery": TOPICS[0], "winnow-ledger": TOPICS[2]}


async def _answers_lost(proxy: str, seconds: float, world: ChaosWorld) -> None:
    """Let everything be written and nothing be acknowledged."""
    world.proxies[proxy].set(Weather(one_way=True))
    await asyncio.sleep(seconds)
    world.proxies[proxy].set(CLEAR)


async def _storm(world: ChaosWorld) -> None:
    """Let a stranger join three groups, take partitions, read nothing, and leave, again and again."""

    async def join(group: str, topic: str) -> None:
        for _ in range(_STORM_ROUNDS):
            consumer = AIOKafkaConsumer(
                topic,
                bootstrap_servers=world.kafka_bootstrap,
                group_id=group,
                enable_auto_commit=False,
                session_timeout_ms=6000,
            )
            await consumer.start()
            await asyncio.sleep(_STORM_EVERY_S)
            await consumer.stop()

    await asyncio.gather(*(join(group, topic) for group, topic in _STORMED.items()))


async def _frozen_owner(service: str, world: ChaosWorld) -> None:
    """Freeze a service for longer than its session while another takes its partitions, then let both run."""
    await world.start_second(service)
    world.freeze(service)
    await asyncio.sleep(_FROZEN_S)
    world.thaw(service)
    await asyncio.sleep(5.0)


async def _stop_second(service: str, world: ChaosWorld) -> None:
    await world.stop_second(service)


BUS_FAULTS = (
    Scenario("bus: publishes are stored, their answers lost for 6 s", "8", partial(_answers_lost, "bus", 6.0)),
    Scenario("database: writes commit, their answers lost for 6 s", "9, 23", partial(_answers_lost, "documents", 6.0)),
    Scenario("object store: writes are kept, their answers lost for 6 s", "10", partial(_answers_lost, "objects", 6.0)),
    Scenario("bus: every record again three times, shuffled", "17", recover=partial(poison.repeat_all, random.Random(7))),
    Scenario("bus: poison in every topic", "18", poison.poison_all),
    Scenario("bus: a member joins three groups and leaves, 8 times", "19", _storm),
    *(
        Scenario(
            f"{service}: frozen for 25 s while a second one owns its work",
            "20",
            partial(_frozen_owner, service),
            partial(_stop_second, service),
        )
        for service in ("router", "ledger", "delivery")
    ),
)  # fmt: skip

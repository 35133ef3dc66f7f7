"""Dramatiq on Redis: five actors, each sending the next, one process of eight threads."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dramatiq
import redis as redis_client
from dramatiq.brokers.redis import RedisBroker
from measured import PAYLOAD, STAGES, one_step, process, redis, wait_for

_DONE = "peer-done"
if "PEER_REDIS" in os.environ:
    dramatiq.set_broker(RedisBroker(url=os.environ["PEER_REDIS"]))
    _counter = redis_client.Redis.from_url(os.environ["PEER_REDIS"])


def _stage(payload: dict[str, Any]) -> None:
    moved = one_step(payload)
    if moved["stage"] == STAGES:
        _counter.incr(_DONE)
    else:
        actor.send(moved)


if "PEER_REDIS" in os.environ:
    actor = dramatiq.actor(_stage)


@contextmanager
def running() -> Iterator[Any]:
    """Run Redis and a worker; yield a function that runs a number of tasks to their end."""
    with redis() as address:
        worker = (sys.executable, "-m", "dramatiq", "dramatiq_chain", "-p", "1", "-t", "8")
        with process(*worker, PEER_REDIS=address):
            dramatiq.set_broker(RedisBroker(url=address))
            first = dramatiq.actor(_stage)
            client = redis_client.Redis.from_url(address)

            def finish(count: int) -> None:
                before = int(client.get(_DONE) or 0)
                for number in range(count):
                    first.send(PAYLOAD | {"task": number})
                wait_for(lambda: int(client.get(_DONE) or 0) >= before + count, 300)

            yield finish

"""Celery on Redis: a canvas chain of five tasks, one prefork worker process."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import redis as redis_client
from celery import Celery, chain
from measured import PAYLOAD, STAGES, one_step, process, redis, wait_for

ADDRESS = os.environ.get("PEER_REDIS", "redis://127.0.0.1:1/0")
app = Celery("celery_chain", broker=ADDRESS)
app.conf.task_ignore_result = True
app.conf.worker_prefetch_multiplier = 64
_DONE = "peer-done"


@app.task
def stage(payload: dict[str, Any]) -> dict[str, Any]:
    """Move the payload on; the last stage counts it."""
    moved = one_step(payload)
    if moved["stage"] == STAGES:
        _counter().incr(_DONE)
    return moved


_known: list[Any] = []


def _counter() -> Any:
    if not _known:
        _known.append(redis_client.Redis.from_url(os.environ["PEER_REDIS"]))
    return _known[0]


@contextmanager
def running() -> Iterator[Any]:
    """Run Redis and a worker; yield a function that runs a number of chains to their end."""
    with redis() as address:
        os.environ["PEER_REDIS"] = address
        app.conf.broker_url = address
        worker = (sys.executable, "-m", "celery", "-A", "celery_chain", "worker", "-P", "prefork", "-c", "1")
        with process(*worker, "--without-gossip", "--without-mingle", "--without-heartbeat", "-l", "error"):
            client = redis_client.Redis.from_url(address)

            def finish(count: int) -> None:
                before = int(client.get(_DONE) or 0)
                for number in range(count):
                    chain(
                        stage.s(PAYLOAD | {"task": number}), *(stage.s() for _ in range(STAGES - 1))
                    ).delay()
                wait_for(lambda: int(client.get(_DONE) or 0) >= before + count, 300)

            yield finish

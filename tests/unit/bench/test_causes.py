"""A sampled stack belongs to the cause that its innermost frames name, whatever library they lie in."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.bench.lean.causes import NAMES, OTHER, Profile, cause_of, place_of, read_profile

ROOT = "/home/winnow/services/checkout"
SITE = f"{ROOT}/.venv/lib/python3.11/site-packages"


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (f"{SITE}/pymongo/pool.py", "pymongo/pool.py"),
        (f"{ROOT}/services/router/domain/decide.py", "services/router/domain/decide.py"),
        ("/usr/lib/python3.11/json/encoder.py", "std:json/encoder.py"),
        ("<frozen importlib>", "<frozen importlib>"),
    ],
)
def test_a_place_is_below_the_root_or_a_package(path: str, place: str) -> None:
    assert place_of(path, ROOT) == place


@pytest.mark.parametrize(
    ("places", "cause"),
    [
        (["winnow/eventstore/writer.py:run", "services/router/domain/decide.py:decide"], "deciding"),
        (["winnow/eventstore/writer.py:run", "std:asyncio/locks.py:acquire"], "journal commit"),
        (["winnow/eventstore/writer.py:run", "winnow/eventstore/codec.py:write"], "encoding, validation"),
        (["winnow/eventstore/writer.py:run", "motor/core.py:insert_many"], "database driver"),
        (["services/ingest/store/view_writer.py:save", "std:hashlib.py:new"], "read model"),
        (["winnow/adapters/object_store.py:put", "aiohttp/client.py:_request"], "object store"),
        (["winnow/adapters/object_store.py:put", "winnow/objectwire/pool.py:send"], "object store"),
        (["services/router/clients/media.py:f", "winnow/pictures/jpeg.py:walk"], "pictures"),
        (["services/router/clients/wire.py:post", "aiohttp/client.py:_request"], "HTTP client"),
        (["aiokafka/producer/sender.py:_send", "aiokafka/conn.py:send"], "sending"),
        (["aiokafka/consumer/fetcher.py:_proc", "aiokafka/conn.py:send"], "polling"),
        (["aiokafka/conn.py:_read"], "polling"),
        (["std:threading.py:run", "services/router/clients/media.py:TaskMedia._described"], "pictures"),
        (["services/router/clients/media.py:TaskMedia.read_request"], "the services' own code"),
        (["services/router/app/router.py:on", "prometheus_client/metrics.py:labels"], "metrics"),
        (["services/ledger/rpc.py:Balance"], "gRPC"),
        (["uvicorn/protocols/http.py:data_received"], "public API"),
        (["winnow/runtime/service.py:run", "std:asyncio/runners.py:Runner.run"], OTHER),
        (
            ["winnow/runtime/service.py:run", "std:asyncio/runners.py:Runner.run", "bson/a.py:b"],
            "database driver",
        ),
        (["winnow/adapters/bus.py:send", "faststream/kafka/broker/broker.py:KafkaBroker.publish"], "sending"),
        (
            ["std:threading.py:Thread._bootstrap", "std:concurrent/futures/thread.py:_worker"],
            "threads, processes",
        ),
        ([], OTHER),
    ],
)
def test_the_innermost_frame_that_names_a_cause_decides(places: list[str], cause: str) -> None:
    assert cause_of(places) == cause
    assert cause in NAMES


def test_stacks_are_read_with_their_samples() -> None:
    lines = [
        'process 7:"python -m services.router.main";run (/usr/lib/python3.11/asyncio/runners.py:5) 30',
        f"run ({SITE}/uvloop/__init__.py:9);Decider.decide ({ROOT}/services/router/domain/decide.py:7) 10",
        "a line that is no stack",
        "",
    ]
    profile = read_profile(lines, ROOT)
    assert profile.causes == {OTHER: 30, "deciding": 10}
    assert profile.share("deciding") == 0.25
    assert profile.functions == {
        "std:asyncio/runners.py:run": 30,
        "services/router/domain/decide.py:Decider.decide": 10,
    }


def test_an_empty_profile_has_no_shares() -> None:
    assert Profile(Counter(), Counter()).share("polling") == 0.0

"""Whatever is sent, the API keeps its document: no server error, no undocumented shape, every error a problem."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Self

import pytest
import schemathesis
import uvicorn
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from services.ingest.api import openapi_document
from services.ingest.api.building import around, build_app
from services.ingest.app import accounts, orders
from services.ingest.domain.keys import Scope
from services.ingest.domain.limits import Rate
from tests.unit.ingest.parts import CREDIT, World, running
from winnow.local.ports import choose

schema = schemathesis.openapi.from_dict(openapi_document())
CHECKS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)


class Served:
    """Ingest in memory behind a real HTTP server, in a thread with its own loop."""

    def __init__(self) -> None:
        self.port = choose(["http"], {})["http"]
        self.headers: dict[str, str] = {}
        self._ready = threading.Event()
        self._server: uvicorn.Server | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    async def _run(self) -> None:
        world = World()
        world.rate = Rate(10**6, 1e6)
        world.cases = world._build()
        async with running(world):
            self.headers = await world.key("acct_one", *Scope)
            app = around(build_app(world.cases, CREDIT), bytes)
            config = uvicorn.Config(app, port=self.port, log_level="critical", lifespan="off", ws="none")
            self._server = uvicorn.Server(config)
            serving = asyncio.create_task(self._server.serve())
            while not self._server.started:
                await asyncio.sleep(0.01)
            self._ready.set()
            await serving

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.should_exit = True
        self._thread.join(20)
        assert not self._thread.is_alive()


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with pytest.MonkeyPatch.context() as patch, Served() as server:
        patch.setattr(accounts, "APPLIED_WAIT_S", 0.0)
        patch.setattr(orders, "CANCEL_WAIT_S", 0.0)
        yield server


@pytest.mark.timeout(120)
@pytest.mark.filterwarnings("ignore")
@schema.parametrize()
@settings(
    max_examples=15, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
def test_the_api_keeps_its_document(case: schemathesis.Case, served: Served):
    answer = case.call(base_url=f"http://127.0.0.1:{served.port}", headers=served.headers, timeout=10)
    case.validate_response(answer, checks=CHECKS)
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == ["application/problem+json"]

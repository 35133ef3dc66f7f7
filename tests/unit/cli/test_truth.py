"""Deliveries are compared with the simulators' record, on a simulator that answers over HTTP."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import AsyncIterator, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from winnow.cli.truth import compare

PICTURES = {name: f"picture {name}".encode() for name in ("good", "blurred", "again", "unknown")}
TRUTH = [
    {"sha256": hashlib.sha256(PICTURES["good"]).hexdigest(), "defect": None, "dimensions": []},
    {
        "sha256": hashlib.sha256(PICTURES["blurred"]).hexdigest(),
        "defect": "blur",
        "dimensions": ["sharpness"],
    },
    {
        "sha256": hashlib.sha256(PICTURES["again"]).hexdigest(),
        "defect": "near_duplicate",
        "dimensions": ["near_duplicate"],
    },
]


class Simulator(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = json.dumps(TRUTH if self.path == "/_truth" else []).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: Any) -> None:
        """Log nothing."""


@pytest.fixture
def simulator() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Simulator) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        serving.join()


class Candidates:
    async def get_bytes(self, path: str) -> bytes:
        return PICTURES[path.split("/")[-2]]

    async def pages(self, path: str, name: str) -> AsyncIterator[Any]:
        dimensions = [
            {"name": "sharpness", "required": True},
            {"name": "near_duplicate", "required": False},
        ]
        for picture in PICTURES:
            yield {"candidate_id": picture, "width": 64, "dimensions": dimensions}
        yield {"candidate_id": "never made", "width": None, "dimensions": []}


async def test_what_was_delivered_without_a_defect_is_as_promised(simulator: str) -> None:
    found = await compare(Candidates(), [simulator], "task_a", ["good", "again"])
    assert found.broken() == []
    assert (found.candidates_count, found.planted_count, found.delivered_count) == (3, 1, 2)
    assert found.sentence().startswith(
        "the simulators' own record: 1 of 3 candidates have a planted defect, 0 of 2"
    )


async def test_a_delivered_defect_that_the_profile_judges_breaks_the_promise(simulator: str) -> None:
    found = await compare(Candidates(), [simulator], "task_a", ["good", "blurred"])
    assert found.broken() == ["a delivered picture has a planted defect: blur."]


async def test_a_delivered_picture_that_no_simulator_made_breaks_the_promise(simulator: str) -> None:
    found = await compare(Candidates(), [simulator], "task_a", ["good", "unknown"])
    assert found.broken() == ["1 delivered pictures are not the simulators' own."]

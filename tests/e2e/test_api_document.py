"""The running line keeps its document whatever is sent: every check of schemathesis on every operation.

The values of the document's form come from schemathesis, with a fixed seed. What is data and not form (which
templates and tasks there are, which addresses are reached) is put in from the line; each such place says why.
"""

from __future__ import annotations

import asyncio
import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance

from services.ingest.api import openapi_document
from services.ingest.domain.cursors import encode_cursor
from services.ingest.domain.text import is_blank
from tests.support.builders.photographs import photograph
from tests.support.eventually import eventually
from tests.support.servers.line import RunningLine

EXAMPLES = int(os.environ.get("WINNOW_TEST_API_EXAMPLES", "5"))
SCOPES = ["tasks:write", "tasks:read", "account:read", "webhooks:write", "operator", "admin"]
KEYS = 12
"""A key may make 400 requests at once and 30 a second; one after the other they never wait."""
CONFIG = SchemathesisConfig.from_dict(
    {
        "seed": 1,
        "checks": {
            # 402: that an account has no credits is its state, and no schema can say it. The account has none, so
            # that no order of these is made, which would take minutes.
            "positive_data_acceptance": {
                "expected-statuses": ["2xx", "3xx", "401", "402", "403", "404", "409", "429"]
            },
        },
    }
)
schema = schemathesis.openapi.from_dict(openapi_document(), config=CONFIG)
pytestmark = [pytest.mark.one_bus, pytest.mark.timeout(300)]


@dataclass
class Door:
    """The line's API with one delivered task, and what there is to ask for."""

    url: str = ""
    ids: dict[str, str] = field(default_factory=dict)
    hook: str = ""
    picture: Any = b""
    """Bytes; schemathesis sends them where its types say JSON."""
    tokens: Any = None


DOOR = Door()
PLACE = "Bearer of a key to come"


@schema.auth()
class Place:
    """Holds the place of a key, since cases are made before there are any; a case that lacks it lacks its key."""

    def get(self, case: schemathesis.Case, ctx: Any) -> str:
        del case, ctx
        return PLACE

    def set(self, case: schemathesis.Case, data: str, ctx: Any) -> None:
        del ctx
        case.headers["Authorization"] = data


@pytest.fixture(scope="module")
def door(whole_line: RunningLine) -> Door:
    """Make one task, its endpoint and its webhook delivery, and keys for its account, whose credits are spent."""
    asyncio.run(_open(whole_line))
    return DOOR


async def _open(line: RunningLine) -> None:
    DOOR.url, DOOR.hook = line.line.api_url, f"{line.line.receiver_url}/hooks/document"
    DOOR.picture = photograph()
    async with line.client(credit_count=2, scopes=SCOPES) as client:
        made = await client.http.post("/v1/webhook-endpoints", json={"url": DOOR.hook})
        assert made.status_code == 201, made.text
        task_id = await client.order(k=1)
        await client.end(task_id)
        delivered = [
            candidate for candidate in await client.candidates(task_id) if candidate["state"] == "delivered"
        ]

        async def deliveries() -> Any:
            return (await client.get("/v1/webhook-deliveries"))["deliveries"]

        delivery = (await eventually(deliveries, within_s=60))[0]
        DOOR.ids = {
            "task_id": task_id,
            "candidate_id": delivered[0]["candidate_id"],
            "delivery_id": delivery["delivery_id"],
        }
        account_id = client.account_id
    tokens = []
    admin = {"authorization": f"Bearer {line.line.admin_token}"}
    async with httpx.AsyncClient(base_url=DOOR.url, headers=admin, timeout=30) as http:
        for _ in range(KEYS):
            key = await http.post("/v1/admin/keys", json={"account_id": account_id, "scopes": SCOPES})
            tokens.append(key.json()["key"])
    DOOR.tokens = itertools.cycle(tokens)


def put_in_data(case: schemathesis.Case) -> None:
    """Put into a well-formed request what no schema can say; a malformed one is sent as it is."""
    name = case.operation.definition.raw["operationId"]
    if case.media_type == "application/json":
        # JSON Schema takes 2.0 for an integer; here an integer has no point, as money must not.
        case.body = _integers(case.body)
    body: dict[str, Any] = case.body if isinstance(case.body, dict) else {}
    for parameter in ("task_id", "candidate_id", "delivery_id"):
        # Refunds keep an unknown task: how much of a known one can be refunded is its state.
        if parameter in case.path_parameters and name != "refund_task":
            case.path_parameters[parameter] = DOOR.ids[parameter]
    if case.query and "cursor" in case.query:
        # A cursor is opaque: only one that a page gave is read.
        case.query["cursor"] = encode_cursor(1, "x")
    if name in {"place_task", "quote"}:
        # Which templates, profiles and inputs there are is data, and so is what wording a template judges.
        body["template"] = "product_shot"
        body.pop("profile", None)
    if name == "place_task":
        body.pop("inputs", None)
        # More than the account has left, so that nothing is made; and no cap below the cost of today.
        body["k"] = max(int(body["k"]), 10)
        body.pop("cost_cap_usd_micro", None)
    for text in ("prompt", "reason"):
        # That a text shows something is more than a pattern says in a form that people read.
        given = body.get(text)
        if isinstance(given, str) and is_blank(given):
            body[text] = "x"
    if name == "register_endpoint":
        # The only address that may be reached from here.
        body["url"] = DOOR.hook
    if body.get("expires_at") is not None:
        # A schema cannot say that a time lies ahead.
        body["expires_at"] = "2099-01-01T00:00:00Z"
    if name == "add_input" and case.media_type != "application/json":
        case.body = {"file": DOOR.picture} if isinstance(case.body, dict) else DOOR.picture


def _integers(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _integers(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_integers(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def excluded(case: schemathesis.Case) -> list[Callable[..., Any]]:
    """Return the checks that cannot be asked of a case; each with its reason."""
    if case.operation.definition.raw["operationId"] == "add_input" and case.media_type == "application/json":
        # An input by URL is read over the network, and nothing that may be reached from here is a public address.
        return [positive_data_acceptance]
    if case.body is DOOR.picture or (isinstance(case.body, dict) and case.body.get("file") is DOOR.picture):
        # A real picture is no text, so that schemathesis takes it for one that the schema does not allow.
        return [negative_data_rejection]
    return []


@schema.parametrize()
@pytest.mark.filterwarnings("ignore")
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
def test_the_line_keeps_its_document(case: schemathesis.Case, door: Door) -> None:
    if case.meta is None or case.meta.generation.mode.is_positive:
        put_in_data(case)
    if case.headers.get("Authorization") == PLACE:
        case.headers["Authorization"] = f"Bearer {next(door.tokens)}"
    answer = case.call(base_url=door.url, timeout=20)
    if answer.status_code == 201 and "endpoint_id" in answer.json():
        # An account has at most twenty endpoints.
        requests.delete(
            f"{door.url}/v1/webhook-endpoints/{answer.json()['endpoint_id']}",
            headers={"Authorization": f"Bearer {next(door.tokens)}"},
            timeout=20,
        ).raise_for_status()
    case.validate_response(answer, excluded_checks=excluded(case))
    if answer.status_code >= 400:
        assert answer.headers["content-type"] == ["application/problem+json"]
        assert answer.json()["status"] == answer.status_code

"""The document's examples run on the line as they stand, and no operation shows another account's things."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from services.ingest.api.auth import SCOPE_FIELD
from tests.support.api_document import api_document
from tests.support.builders.photographs import photograph
from tests.support.eventually import eventually
from tests.support.servers.line import RunningLine
from winnow.contracts.ids import Prefix, derive_id

pytestmark = pytest.mark.one_bus
DOCUMENT = api_document()
OPERATIONS = {
    operation["operationId"]: (method, path, operation)
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
}
FLOW = (
    "create_key", "list_keys", "set_account_settings", "get_account_settings", "grant_credits", "get_account",
    "list_templates", "list_offerings", "quote", "add_input", "register_endpoint", "list_endpoints", "place_task",
    "list_tasks", "stream_events", "get_task", "list_candidates", "preview_candidate", "list_outputs", "get_bill",
    "list_entries", "list_deliveries", "redeliver", "refund_task", "read_refund",
    "delete_endpoint", "revoke_key",
)  # fmt: skip
"""Every operation in an order in which each finds what it needs; ``cancel_task`` follows on an order of its own."""


class Reader:
    """Runs examples and follows the document's links, as a reader of the page does."""

    def __init__(self, line: RunningLine, http: httpx.AsyncClient) -> None:
        self.http = http
        self.admin = {"authorization": f"Bearer {line.line.admin_token}"}
        self.key: dict[str, str] = {}
        self.hook = f"{line.line.receiver_url}/hooks/examples"
        self.linked: dict[tuple[str, str], Any] = {}

    async def run(self, name: str, **changed: Any) -> httpx.Response:
        """Send an operation's example; returns the answer, which has a documented status of success."""
        method, path, operation = OPERATIONS[name]
        values = {
            parameter["name"]: parameter.get("example") for parameter in operation.get("parameters", ())
        }
        values |= {
            parameter: self.linked[name, parameter]
            for parameter in values
            if (name, parameter) in self.linked
        }
        values |= changed
        places = {parameter["name"]: parameter["in"] for parameter in operation.get("parameters", ())}
        headers = {
            key: values[key] for key, place in places.items() if place == "header" and values[key] is not None
        }
        answer = await self.http.request(
            method,
            path.format(**{key: values[key] for key, place in places.items() if place == "path"}),
            params={
                key: values[key]
                for key, place in places.items()
                if place == "query" and values[key] is not None
            },
            headers=headers | (self.admin if operation[SCOPE_FIELD] == "admin" else self.key),
            **self._body(name, operation),
        )
        success = [status for status in operation["responses"] if status.startswith("2")]
        assert str(answer.status_code) in success, f"{name}: {answer.text}"
        self._follow(answer, operation)
        return answer

    def _body(self, name: str, operation: dict[str, Any]) -> dict[str, Any]:
        if "requestBody" not in operation:
            return {}
        media_type, content = next(iter(operation["requestBody"]["content"].items()))
        example = content["example"]
        if media_type == "multipart/form-data":
            # The file is the reader's own.
            return {"files": {"file": photograph()}, "data": {"profile": example["profile"]}}
        if name == "register_endpoint":
            # So is the address; only the line's receiver may be reached from here.
            return {"json": example | {"url": self.hook}}
        return {"json": example}

    def _follow(self, answer: httpx.Response, operation: dict[str, Any]) -> None:
        links = operation["responses"][str(answer.status_code)].get("links", {})
        for link in links.values():
            for parameter, expression in link["parameters"].items():
                found = answer.json()
                for part in expression.removeprefix("$response.body#/").split("/"):
                    found = found[int(part)] if part.isdigit() else found[part]
                self.linked[link["operationId"], parameter] = found


async def test_every_example_runs_as_it_stands(line: RunningLine) -> None:
    assert {*FLOW, "cancel_task"} == set(OPERATIONS), "every operation has its place in the flow"
    async with httpx.AsyncClient(base_url=line.line.api_url, timeout=60) as http:
        reader = Reader(line, http)
        made = await reader.run("create_key")
        reader.key = {"authorization": f"Bearer {made.json()['key']}"}
        await line.control("receiver", secrets=[])
        for name in FLOW[1:]:
            if name == "list_deliveries":

                async def deliveries() -> bool:
                    return bool((await reader.run("list_endpoints")).json()["endpoints"]) and bool(
                        (await http.get("/v1/webhook-deliveries", headers=reader.key)).json()["deliveries"]
                    )

                await eventually(deliveries, within_s=60)
            if name == "get_account":

                async def funded() -> bool:
                    return bool((await reader.run("get_account")).json()["available_credits_micro"])

                await eventually(funded, within_s=60)
            if name == "revoke_key":
                second = await reader.run("place_task", **{"Idempotency-Key": "example-order-2"})
                reader.linked["cancel_task", "task_id"] = second.json()["id"]
                cancelled = await reader.run("cancel_task")
                assert cancelled.json()["task_id"] == second.json()["id"]
            await reader.run(name)
        assert (await http.get("/v1/account", headers=reader.key)).status_code == 401, "the key is revoked"


async def test_the_page_shows_the_document_that_the_line_serves(line: RunningLine) -> None:
    async with httpx.AsyncClient(base_url=line.line.api_url, timeout=30) as http:
        page = await http.get("/docs")
        served = (await http.get("/openapi.json")).json()
    assert page.status_code == 200
    assert served == DOCUMENT
    for name, (_, path, operation) in OPERATIONS.items():
        for parameter in operation.get("parameters", ()):
            if parameter.get("required"):
                assert "example" in parameter, f"{name}: {parameter['name']}"
        if "requestBody" in operation:
            first = next(iter(operation["requestBody"]["content"].values()))
            assert "example" in first, f"{name} {path}"


SCOPED = [
    name
    for name, (_, path, operation) in OPERATIONS.items()
    if "{" in path and operation[SCOPE_FIELD] != "admin"
]


async def test_no_operation_tells_another_accounts_things_from_things_that_are_not(line: RunningLine) -> None:
    async with line.client() as mine, line.client() as theirs:
        hook = await mine.http.post(
            "/v1/webhook-endpoints", json={"url": f"{line.line.receiver_url}/hooks/walls"}
        )
        task_id = await mine.order(k=1)
        await mine.end(task_id)

        async def deliveries() -> Any:
            return (await mine.get("/v1/webhook-deliveries"))["deliveries"]

        delivery = (await eventually(deliveries, within_s=60))[0]
        candidate = (await mine.candidates(task_id))[0]
        ids = {
            "task_id": task_id,
            "candidate_id": candidate["candidate_id"],
            "endpoint_id": hook.json()["endpoint_id"],
            "delivery_id": delivery["delivery_id"],
        }
        unknown = {
            "task_id": derive_id(Prefix.task, "nothing"),
            "candidate_id": derive_id(Prefix.candidate, "nothing"),
            "endpoint_id": derive_id(Prefix.endpoint, "nothing"),
            "delivery_id": derive_id(Prefix.delivery, "nothing"),
        }
        assert len(SCOPED) == 9
        for name in SCOPED:
            method, path, _ = OPERATIONS[name]
            answers = [await theirs.http.request(method, path.format(**given)) for given in (ids, unknown)]
            assert [answer.status_code for answer in answers] == [404, 404], name
            bodies = [answer.json() | {"request_id": ""} for answer in answers]
            assert bodies[0] == bodies[1], name
        for path in ("/v1/tasks", "/v1/webhook-endpoints", f"/v1/webhook-deliveries?task_id={task_id}"):
            text = (await theirs.http.get(path)).text
            assert not any(id_ in text for id_ in ids.values()), path
        assert (await mine.get(f"/v1/tasks/{task_id}"))["state"] == "delivered"
        endpoints = (await mine.get("/v1/webhook-endpoints"))["endpoints"]
        assert [endpoint["endpoint_id"] for endpoint in endpoints] == [ids["endpoint_id"]]
        assert (await mine.http.delete(f"/v1/webhook-endpoints/{ids['endpoint_id']}")).status_code == 204


async def test_what_a_customer_reads_on_the_line_names_no_provider_and_no_cost(line: RunningLine) -> None:
    async with line.client(scopes=["tasks:write", "tasks:read", "account:read"]) as client:
        task_id = await client.order(k=1)
        await client.end(task_id)
        texts = [
            (await client.http.get(path)).text
            for path in (
                f"/v1/tasks/{task_id}",
                "/v1/tasks",
                f"/v1/tasks/{task_id}/events",
                f"/v1/tasks/{task_id}/candidates",
                f"/v1/tasks/{task_id}/bill",
                f"/v1/tasks/{task_id}/outputs",
                "/v1/account/entries",
            )
        ]
        assert (await client.http.get("/v1/offerings")).status_code == 403
        for text in texts:
            for word in ("fal", "replicate", "openai"):
                assert f'"{word}' not in text
        outputs = (await client.get(f"/v1/tasks/{task_id}/outputs"))["outputs"]
        for output in outputs:
            for url in (output["url"], output["thumbnail_url"]):
                assert client.account_id not in url
                assert task_id[-12:] not in url


@pytest.mark.parametrize("method", ["TRACE", "PATCH", "OPTIONS"])
async def test_a_method_that_is_not_taken_names_those_that_are(line: RunningLine, method: str) -> None:
    async with httpx.AsyncClient(base_url=line.line.api_url, timeout=30) as http:
        for path in ("/v1/tasks", "/v1/webhook-endpoints"):
            answer = await http.request(method, path)
            assert (answer.status_code, answer.headers["allow"]) == (405, "GET, POST")

"""Nothing of an account is reached, listed or confirmed for another: every operation of the API is tried."""

from __future__ import annotations

from typing import Any, Final

import httpx
import pytest

from tests.support.eventually import eventually
from tests.support.servers.line import Client, RunningLine
from tests.unit.scorer.photographs import png, portrait
from winnow.contracts.ids import Prefix, derive_id

# Operations that make something new, and so name nothing that another account could have.
MAKES: Final = {"place_task", "quote", "add_input", "register_endpoint"}
# Parts of a problem that name the request itself.
OF_THE_REQUEST: Final = ("instance", "request_id")


async def belongings(line: RunningLine, owner: Client) -> dict[str, str]:
    """Let an account have one of everything that has an id, and return the ids by their name in paths."""
    made = await owner.http.post(
        "/v1/webhook-endpoints", json={"url": f"{line.line.receiver_url}/hook/{owner.account_id}"}
    )
    assert made.status_code == 201, made.text
    task_id = await owner.order(k=1)
    await owner.end(task_id)
    (candidate, *_) = await owner.candidates(task_id)

    async def deliveries() -> list[dict[str, Any]]:
        return list((await owner.get("/v1/webhook-deliveries"))["deliveries"])

    (delivery, *_) = await eventually(deliveries, within_s=60)
    return {
        "task_id": task_id,
        "candidate_id": candidate["candidate_id"],
        "delivery_id": delivery["delivery_id"],
        "endpoint_id": made.json()["endpoint_id"],
    }


def unknown() -> dict[str, str]:
    """Return ids of the same form that nothing has."""
    prefixes = {
        "task_id": Prefix.task,
        "candidate_id": Prefix.candidate,
        "delivery_id": Prefix.delivery,
        "endpoint_id": Prefix.endpoint,
    }
    return {name: derive_id(prefix, "of nobody") for name, prefix in prefixes.items()}


async def operations(client: Client) -> list[tuple[str, str, dict[str, Any]]]:
    document = (await client.http.get("/openapi.json")).json()
    return [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def problem(answer: httpx.Response) -> tuple[int, dict[str, Any]]:
    """Return all that an answer tells about what was asked for."""
    body = {name: value for name, value in answer.json().items() if name not in OF_THE_REQUEST}
    return answer.status_code, body


@pytest.mark.timeout(180)
async def test_every_operation_keeps_the_walls_between_accounts(line: RunningLine) -> None:
    async with line.client() as owner, line.client() as other:
        ids = await belongings(line, owner)
        tried = 0
        for method, path, operation in await operations(owner):
            name = operation["operationId"]
            if path.startswith("/v1/admin/"):
                answer = await other.http.request(method, path.format_map(Anything(ids)), json={})
                assert answer.status_code in {401, 403}, (name, answer.text)
            elif "{" in path:
                foreign = await other.http.request(method, path.format(**ids))
                assert foreign.status_code == 404, (name, foreign.text)
                absent = await other.http.request(method, path.format(**unknown()))
                assert problem(foreign) == problem(absent), name
            elif method == "get":
                parameters = {parameter["name"] for parameter in operation.get("parameters", ())} & ids.keys()
                answer = await other.http.request(
                    method, path, params={parameter: ids[parameter] for parameter in parameters}
                )
                assert answer.status_code in {200, 404}, (name, answer.text)
                assert not [id_ for id_ in (*ids.values(), owner.account_id) if id_ in answer.text], name
            else:
                assert name in MAKES, f"{name} is new: say how another account could reach it"
            tried += 1
        assert tried > 20
        assert (await owner.task(ids["task_id"]))["state"] == "delivered"
        assert [
            endpoint["endpoint_id"] for endpoint in (await owner.get("/v1/webhook-endpoints"))["endpoints"]
        ] == [ids["endpoint_id"]]


class Anything(dict[str, str]):
    """Mapping that returns some id for every name in a path."""

    def __missing__(self, key: str) -> str:
        return "anything"


async def test_an_input_of_another_account_is_as_absent_as_one_that_never_was(line: RunningLine) -> None:
    async with line.client() as owner, line.client() as other:
        headers = {"content-type": "image/png"}
        uploaded = await owner.http.post("/v1/inputs", content=png(portrait()), headers=headers)
        assert uploaded.status_code == 201, uploaded.text
        input_id = uploaded.json()["input_id"]
        absent_id = derive_id(Prefix.input, "of nobody")
        foreign, absent = [await other.submit(k=1, inputs=[given_id]) for given_id in (input_id, absent_id)]
        assert foreign.status_code == 422, foreign.text
        assert problem(foreign) == problem(absent)
        assert (await owner.submit(k=1, inputs=[input_id])).status_code == 202

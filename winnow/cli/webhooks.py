"""`winnow webhooks`: where events are sent, what was sent, and sending it again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from winnow.cli.documents import checked_id, show_document
from winnow.cli.errors import CliError, command
from winnow.cli.lazy import group
from winnow.cli.options import DATA_DIR, ApiKey, ApiUrl, DataDir, Json

if TYPE_CHECKING:
    from winnow.cli.answers import Attempt

app = group("Webhooks: endpoints, deliveries, redelivery.")

EndpointId = Annotated[str, typer.Argument(metavar="ENDPOINT", help="The endpoint's id.")]


@app.command("list")
@command
async def list_endpoints(
    *, api_url: ApiUrl = "", api_key: ApiKey = "", data_dir: DataDir = DATA_DIR, as_json: Json = False
) -> None:
    """List the endpoints of your account."""
    show_document(await _endpoints(api_url, api_key, data_dir), _print_endpoints, as_json=as_json)


@app.command("create")
@command
async def create(
    url: Annotated[
        str, typer.Argument(help="Where events are posted: https, or a host of `up --webhook-host`.")
    ],
    *,
    event: Annotated[
        list[str] | None,
        typer.Option(help="An event type to send, repeatable; without it every end of a task."),
    ] = None,
    api_url: ApiUrl = "",
    api_key: ApiKey = "",
    data_dir: DataDir = DATA_DIR,
    as_json: Json = False,
) -> None:
    """Register an endpoint; its signing secret is shown this once."""
    from winnow.cli.client import ApiError
    from winnow.cli.connection import connected

    async with connected(api_url, api_key, data_dir) as api:
        try:
            made = await api.post("/v1/webhook-endpoints", {"url": url, "event_types": event or []})
        except ApiError as error:
            if error.code == "url_not_allowed":
                error.hint = (
                    "For a handler on this machine start the line with `winnow up --webhook-host HOST:PORT`."
                )
            raise
    show_document(made, _print_secret, as_json=as_json)


@app.command("show")
@command
async def show(
    endpoint_id: EndpointId,
    *,
    api_url: ApiUrl = "",
    api_key: ApiKey = "",
    data_dir: DataDir = DATA_DIR,
    as_json: Json = False,
) -> None:
    """Show an endpoint."""
    found = [
        endpoint
        for endpoint in await _endpoints(api_url, api_key, data_dir)
        if endpoint["endpoint_id"] == endpoint_id
    ]
    if not found:
        raise CliError(f"There is no endpoint {endpoint_id}.", hint="`winnow webhooks list` shows all.")
    show_document(found[0], _print_endpoint, as_json=as_json)


@app.command("delete")
@command
async def delete(
    endpoint_id: EndpointId, *, api_url: ApiUrl = "", api_key: ApiKey = "", data_dir: DataDir = DATA_DIR
) -> None:
    """Delete an endpoint; nothing more is sent to it."""
    from winnow.cli.connection import connected

    async with connected(api_url, api_key, data_dir) as api:
        endpoint = checked_id(endpoint_id, "an endpoint", "winnow webhooks list")
        await api.delete(f"/v1/webhook-endpoints/{endpoint}")
    typer.echo(f"{endpoint_id} is deleted.")


@app.command("deliveries")
@command
async def deliveries(
    *,
    task: Annotated[str, typer.Option(help="Only of this task.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=200, help="How many, newest first.")] = 20,
    api_url: ApiUrl = "",
    api_key: ApiKey = "",
    data_dir: DataDir = DATA_DIR,
    as_json: Json = False,
) -> None:
    """List events on their way to endpoints, with every attempt and its answer."""
    from winnow.cli.connection import connected

    async with connected(api_url, api_key, data_dir) as api:
        params: dict[str, str | int] = {"limit": limit} | ({"task_id": task} if task else {})
        found = (await api.get("/v1/webhook-deliveries", **params))["deliveries"]
    show_document(found, _print_deliveries, as_json=as_json)


@app.command("redeliver")
@command
async def redeliver(
    delivery_id: Annotated[str, typer.Argument(metavar="DELIVERY", help="The delivery's id.")],
    *,
    api_url: ApiUrl = "",
    api_key: ApiKey = "",
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Send an event again, after any result of its earlier attempts."""
    from winnow.cli.connection import connected

    async with connected(api_url, api_key, data_dir) as api:
        delivery = checked_id(delivery_id, "a delivery", "winnow webhooks deliveries")
        await api.post(f"/v1/webhook-deliveries/{delivery}/redeliver", {})
    typer.echo(f"{delivery_id} is sent again.")


async def _endpoints(api_url: str, api_key: str, data_dir: DataDir) -> list[dict[str, Any]]:
    from winnow.cli.connection import connected

    async with connected(api_url, api_key, data_dir) as api:
        endpoints: list[dict[str, Any]] = (await api.get("/v1/webhook-endpoints"))["endpoints"]
    return endpoints


def _print_secret(made: dict[str, Any]) -> None:
    typer.echo(f"{made['endpoint_id']}\n{made['secret']}")


def _print_endpoint(endpoint: dict[str, Any]) -> None:
    for name, value in endpoint.items():
        shown = ", ".join(value) or "every end of a task" if isinstance(value, list) else value
        typer.echo(f"{name}: {shown}")


def _print_endpoints(endpoints: Sequence[dict[str, Any]]) -> None:
    from winnow.cli.answers import Endpoint
    from winnow.cli.console import print_list

    rows = []
    for endpoint in map(Endpoint.model_validate, endpoints):
        events = ", ".join(endpoint.event_types) or "every end of a task"
        state = "enabled" if endpoint.enabled else "disabled after failures"
        rows.append(
            (endpoint.endpoint_id, endpoint.url, events, state, f"{endpoint.created_at:%Y-%m-%d %H:%M}")
        )
    print_list(("endpoint", "url", "events", "state", "created"), rows)


def _print_deliveries(found: Sequence[dict[str, Any]]) -> None:
    from winnow.cli.answers import Delivery
    from winnow.cli.console import print_list

    rows = []
    for delivery in map(Delivery.model_validate, found):
        attempts = "\n".join(map(_attempt_line, delivery.attempts)) or "-"
        upcoming = f"{delivery.next_attempt_at:%H:%M:%S}" if delivery.next_attempt_at else "-"
        cells = (delivery.event_type, delivery.state, attempts, upcoming)
        rows.append((delivery.delivery_id, delivery.task_id, *cells))
    print_list(("delivery", "task", "event", "state", "attempts", "next attempt"), rows)


def _attempt_line(attempt: Attempt) -> str:
    answer = f"{attempt.status or 'none'} {attempt.reason.replace('_', ' ')}"
    return f"{attempt.at:%H:%M:%S} {answer}"

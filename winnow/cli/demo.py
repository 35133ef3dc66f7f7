"""The demo: two real orders over simulated providers, watched to their end and checked against the promises."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import httpx

from winnow.cli.answers import Account, Bill, OutputLink
from winnow.cli.client import Api, ApiError
from winnow.cli.console import out
from winnow.cli.downloads import link_clients
from winnow.cli.errors import CliError
from winnow.cli.grants import Grant, grant_credits
from winnow.cli.line_access import LineAccess
from winnow.cli.live import credits_
from winnow.cli.loopback import is_loopback
from winnow.cli.report import report
from winnow.cli.task_orders import place_order
from winnow.cli.truth import compare
from winnow.cli.watching import Watch, Watched

ACCOUNT: Final = "acct_demo"
_SCOPES: Final = ("tasks:write", "tasks:read", "account:read", "webhooks:write", "operator")
_ENOUGH_CREDITS_MICRO: Final = 200_000_000
_GRANT_CREDITS_MICRO: Final = 1_000_000_000
_SLACK_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Order:
    """An order of the demo."""

    template: str
    k: int
    mode: str
    prompt: str

    def body(self) -> dict[str, Any]:
        """Return the request."""
        return {
            "template": self.template,
            "k": self.k,
            "mode": self.mode,
            "prompt": self.prompt,
            "deadline_s": 300,
        }


ORDERS: Final = (
    Order(
        "studio_headshot",
        6,
        "low_cost",
        "studio headshots of one person, head and shoulders, soft even light, neutral backdrop",
    ),
    Order("product_shot", 4, "stable", "product shots of a coffee cup on a clean backdrop, soft shadow"),
)


async def ensure_account(access: LineAccess) -> LineAccess:
    """Make sure that the demo account has a working key and credits; return the place with the key."""
    if not await _key_works(access):
        admin = Api(access.api_url, access.admin_token)
        try:
            body = {"account_id": ACCOUNT, "scopes": list(_SCOPES), "label": "demo"}
            access = replace(access, api_key=(await admin.post("/v1/admin/keys", body))["key"])
        finally:
            await admin.close()
    await _top_up(access)
    return access


async def run_orders(access: LineAccess, sheets: Path) -> None:
    """Run both orders to their ends; raises CliError with every promise that was not kept."""
    broken: list[str] = []
    api = Api(access.api_url, access.api_key)
    try:
        await _subscribe(api, access.receiver_url)
        for number, order in enumerate(ORDERS, 1):
            out.print(f"\n[bold]Order {number}:[/] {order.k} × {order.template}, {order.mode}")
            task = await place_order(api, order.body())
            watched = await Watch(api, task).to_the_end(_SLACK_S)
            bill = await report(api, watched, sheets, order.prompt)
            found = await _broken_promises(api, watched, bill)
            found += await _planted_defects(api, access, task.id)
            broken += [f"Order {number}: {promise}" for promise in found]
        await _print_notices(access.receiver_url)
    finally:
        await api.close()
    if broken:
        raise CliError(" ".join(broken))
    out.print("\n[bold green]Both orders ended as promised.[/]")


async def _key_works(access: LineAccess) -> bool:
    if not access.api_key:
        return False
    api = Api(access.api_url, access.api_key)
    try:
        await api.get("/v1/account")
    except ApiError as trouble:
        if trouble.status == httpx.codes.UNAUTHORIZED:
            return False
        raise
    finally:
        await api.close()
    return True


async def _top_up(access: LineAccess) -> None:
    api, admin = Api(access.api_url, access.api_key), Api(access.api_url, access.admin_token)
    try:
        account = Account.model_validate(await api.get("/v1/account"))
        if account.available_credits_micro >= _ENOUGH_CREDITS_MICRO:
            return
        grant = Grant(ACCOUNT, _GRANT_CREDITS_MICRO, "promo")
        await grant_credits(admin, grant, secrets.token_hex(16))
        out.print(f"granted {credits_(_GRANT_CREDITS_MICRO)} to {ACCOUNT}")
    finally:
        await api.close()
        await admin.close()


async def _subscribe(api: Api, receiver_url: str) -> None:
    """Register the webhook receiver afresh, so that it knows the secret it verifies with."""
    url = f"{receiver_url}/demo"
    for endpoint in (await api.get("/v1/webhook-endpoints"))["endpoints"]:
        if endpoint["url"] == url:
            await api.delete(f"/v1/webhook-endpoints/{endpoint['endpoint_id']}")
    made = await api.post("/v1/webhook-endpoints", {"url": url})
    async with httpx.AsyncClient(timeout=5.0, trust_env=not is_loopback(receiver_url)) as client:
        await client.post(f"{receiver_url}/_control", json={"secrets": [made["secret"]], "clear": True})


async def _print_notices(receiver_url: str) -> None:
    async with httpx.AsyncClient(timeout=5.0, trust_env=not is_loopback(receiver_url)) as client:
        notices = (await client.get(f"{receiver_url}/_deliveries")).json()
    verified = sum(1 for notice in notices if notice["verified"])
    out.print(f"\nwebhooks: {len(notices)} received, {verified} with a valid signature")


async def _broken_promises(api: Api, watched: Watched, bill: Bill) -> list[str]:
    task, broken = watched.task, []
    if task.state != "delivered":
        reason = (task.end.code or task.end.reason or "no reason") if task.end else "no reason"
        broken.append(f"it ended as {task.state} ({reason}).")
    charge = bill.delivered_count * bill.price_per_output_credits_micro
    if bill.charged_credits_micro != charge:
        broken.append(f"{credits_(bill.charged_credits_micro)} were charged, {credits_(charge)} were due.")
    if bill.reserved_credits_micro != bill.charged_credits_micro + bill.released_credits_micro:
        broken.append("what was reserved is not what was charged and released.")
    if bill.actual_cost_usd_micro is None or task.spend is None:
        broken.append("the costs were not shown to an operator.")
    elif bill.actual_cost_usd_micro > task.spend.cap_usd_micro:
        broken.append("the providers cost more than the cap.")
    answer = await api.get(f"/v1/tasks/{task.id}/outputs")
    links = [OutputLink.model_validate(output) for output in answer["outputs"]]
    if len(links) != task.k:
        broken.append(f"{len(links)} of {task.k} outputs were delivered.")
    return broken + await _broken_links(links)


async def _planted_defects(api: Api, access: LineAccess, task_id: str) -> list[str]:
    """Compare the delivered pictures with the simulators' record of their defects; real providers keep none."""
    if not access.simulator_urls:
        return []
    outputs = (await api.get(f"/v1/tasks/{task_id}/outputs"))["outputs"]
    delivered = [output["candidate_id"] for output in outputs]
    comparison = await compare(api, access.simulator_urls, task_id, delivered)
    out.print(comparison.sentence(), markup=False)
    return comparison.broken()


async def _broken_links(links: list[OutputLink]) -> list[str]:
    async with link_clients(httpx.Timeout(30.0)) as client_for:
        for link in links:
            got = await client_for(link.url).get(link.url) if link.url else None
            if got is None or got.is_error or hashlib.sha256(got.content).hexdigest() != link.sha256:
                return [f"the link to output #{link.rank} does not give the delivered file."]
    return []

"""The demo: two real orders over simulated providers, watched to their end and checked against the promises."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import httpx

from winnow.cli.answers import Account, Bill, OutputLink
from winnow.cli.client import Api, ApiTrouble
from winnow.cli.live import credits_
from winnow.cli.place import Place
from winnow.cli.report import report
from winnow.cli.tasks import place_order
from winnow.cli.trouble import Trouble, out
from winnow.cli.watching import Watch, Watched

ACCOUNT: Final = "acct_demo"
_SCOPES: Final = ("tasks:write", "tasks:read", "account:read", "webhooks:write", "operator")
_ENOUGH_CREDITS_MICRO: Final = 200_000_000
_GRANT_CREDITS_MICRO: Final = 1_000_000_000
_GRANT_TRIES: Final = 10
_SLACK_S: Final = 60.0


@dataclass(frozen=True, slots=True)
class Order:
    """An order of the demo."""

    template: str
    k: int
    mode: str
    prompt: str

    def body(self) -> dict[str, Any]:
        """Give the request."""
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


async def ensure_account(place: Place) -> Place:
    """Make sure that the demo account has a working key and credits; gives the place with the key."""
    if not await _key_works(place):
        admin = Api(place.api_url, place.admin_token)
        try:
            body = {"account_id": ACCOUNT, "scopes": list(_SCOPES), "label": "demo"}
            place = replace(place, api_key=(await admin.post("/v1/admin/keys", body))["key"])
        finally:
            await admin.close()
    await _top_up(place)
    return place


async def run_orders(place: Place, sheets: Path) -> None:
    """Run both orders to their ends; raises Trouble with every promise that was not kept."""
    broken: list[str] = []
    api = Api(place.api_url, place.api_key)
    try:
        await _subscribe(api, place.receiver_url)
        for number, order in enumerate(ORDERS, 1):
            out.print(f"\n[bold]Order {number}:[/] {order.k} × {order.template}, {order.mode}")
            task = await place_order(api, order.body())
            watched = await Watch(api, task).to_the_end(_SLACK_S)
            bill = await report(api, watched, sheets)
            broken += [f"Order {number}: {one}" for one in await _broken_promises(api, watched, bill)]
        await _print_notices(place.receiver_url)
    finally:
        await api.close()
    if broken:
        raise Trouble(" ".join(broken))
    out.print("\n[bold green]Both orders ended as promised.[/]")


async def _key_works(place: Place) -> bool:
    if not place.api_key:
        return False
    api = Api(place.api_url, place.api_key)
    try:
        await api.get("/v1/account")
    except ApiTrouble as trouble:
        if trouble.status == httpx.codes.UNAUTHORIZED:
            return False
        raise
    finally:
        await api.close()
    return True


async def _top_up(place: Place) -> None:
    api, admin = Api(place.api_url, place.api_key), Api(place.api_url, place.admin_token)
    try:
        account = Account.model_validate(await api.get("/v1/account"))
        if account.available_credits_micro >= _ENOUGH_CREDITS_MICRO:
            return
        body = {"amount_credits_micro": _GRANT_CREDITS_MICRO, "source": "promo"}
        path, key = f"/v1/admin/accounts/{ACCOUNT}/grants", secrets.token_hex(16)
        for _ in range(_GRANT_TRIES):
            # The same key is the same grant: asking again only waits for the books once more.
            grant = await admin.post(path, body, key)
            if grant["applied"]:
                break
        else:
            raise Trouble("The ledger has not booked the demo account's credits; see its log.")
        out.print(f"granted {credits_(grant['amount_credits_micro'])} to {ACCOUNT}")
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
    async with httpx.AsyncClient(timeout=5.0) as client:
        await client.post(f"{receiver_url}/_control", json={"secrets": [made["secret"]], "clear": True})


async def _print_notices(receiver_url: str) -> None:
    async with httpx.AsyncClient(timeout=5.0) as client:
        notices = (await client.get(f"{receiver_url}/_deliveries")).json()
    verified = sum(1 for one in notices if one["verified"])
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
    if bill.actual_cost_usd_micro > task.spend.cap_usd_micro:
        broken.append("the providers cost more than the cap.")
    answer = await api.get(f"/v1/tasks/{task.id}/outputs")
    links = [OutputLink.model_validate(one) for one in answer["outputs"]]
    if len(links) != task.k:
        broken.append(f"{len(links)} of {task.k} outputs were delivered.")
    return broken + await _broken_links(links)


async def _broken_links(links: list[OutputLink]) -> list[str]:
    async with httpx.AsyncClient(timeout=30.0) as client:
        for link in links:
            got = await client.get(link.url) if link.url else None
            if got is None or got.is_error or hashlib.sha256(got.content).hexdigest() != link.sha256:
                return [f"the link to output #{link.rank} does not give the delivered file."]
    return []

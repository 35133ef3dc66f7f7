"""Clients and administrators: they place orders, cancel, grant and refund, and ask again when no answer comes."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from services.ingest.domain.catalogue import Bounds
from services.ingest.domain.catalogue import Template as PublicTemplate
from services.ingest.domain.orders import PlaceOrder, Price, ResolvedOrder, task_id_of
from services.ingest.domain.requests import (
    OrderGrant,
    OrderRefund,
    Origin,
    Outcome,
    Request,
    RequestCancel,
    grant_id_of,
    refund_id_of,
)
from services.ingest.store.requests import RequestJournal
from tests.simulation.builders import PROFILE, TEMPLATE
from tests.simulation.script import Order
from tests.simulation.services import SimulatedLine
from tests.simulation.world import START
from winnow.contracts.errors import Conflict, Unavailable
from winnow.contracts.ids import Prefix, derive_id
from winnow.contracts.values import Mode, ProfileRef, StoredObject

CREDIT = 1_000_000
PRICE_CREDITS_MICRO = 1_500_000
COST_CAP_USD_MICRO = 40_000
DEADLINE_SLACK_S = 40
"""The promise of every order; what goes wrong ends before any deadline, so it holds in every run."""
_ANY = Bounds(1, 10_000)
_REF = ProfileRef(name=PROFILE, version=1)
_TEMPLATE = PublicTemplate(
    name=TEMPLATE,
    version=1,
    title="",
    description="",
    modes=tuple(Mode),
    profile=_REF,
    profiles=(_REF,),
    k=_ANY,
    size=_ANY,
    size_step=1,
    default_width=512,
    default_height=512,
    deadline_s=_ANY,
    default_deadline_s=60,
    inputs=Bounds(0, 0),
)


@dataclass
class Clients:
    """Everybody who calls the public interface; ``answered`` holds what they were promised."""

    line: SimulatedLine
    answered: dict[str, float] = field(default_factory=dict)
    """Task id → virtual time by which it must have ended (its deadline)."""
    granted: dict[str, tuple[str, int]] = field(default_factory=dict)
    refunds: dict[str, int] = field(default_factory=dict)
    """Command id → amount that was ordered."""
    busy: int = 0
    stories: list[asyncio.Task[None]] = field(default_factory=list)

    def account_of(self, number: int) -> str:
        return f"acct_{number}"

    def task_of(self, order: Order) -> str:
        return task_id_of(self.account_of(order.account), f"key-{order.number}")

    def start(self) -> None:
        """Begin the day."""
        script, loop = self.line.world.script, self.line.world.loop
        stories = [self._grant(number, given) for number, given in enumerate(script.grants)]
        stories += [
            self._promo(number, promo) for number, promo in enumerate(script.promos) if promo is not None
        ]
        stories += [self._order(order) for order in script.orders]
        self.busy = len(stories)
        for story in stories:
            self.stories.append(loop.create_task(self._count(story)))

    async def _count(self, story: Any) -> None:
        await story
        self.busy -= 1

    async def _grant(self, number: int, given: int) -> None:
        account_id = self.account_of(number)
        grant_id = grant_id_of(account_id, "grant")
        amount = given * CREDIT
        self.granted[grant_id] = (account_id, amount)
        order = OrderGrant(grant_id, account_id, amount, "topup", None)
        await self._submit(order, Origin(grant_id, f"grant:{grant_id}", str(amount), "grant"), repeats=1)

    async def _promo(self, number: int, expires_after_s: float) -> None:
        account_id, amount = self.account_of(number), 3 * CREDIT
        grant_id = grant_id_of(account_id, "promo")
        expires_at = START + timedelta(seconds=expires_after_s)
        order = OrderGrant(grant_id, account_id, amount, "promo", expires_at)
        await self._submit(order, Origin(grant_id, f"grant:{grant_id}", str(amount), "grant"))

    async def _order(self, order: Order) -> None:
        await asyncio.sleep(0.3 + order.at_s)
        account_id, task_id = self.account_of(order.account), self.task_of(order)
        placed = self._placed(order, account_id, task_id)
        origin = Origin(task_id, f"task:{task_id}", placed.request.sha256, f"req-{order.number}")
        await self._submit(placed, origin, repeats=order.repeats, answered=self._note(order, task_id))
        if order.cancel_after_s is not None:
            await asyncio.sleep(order.cancel_after_s)
            wish = Origin(f"{task_id}:cancel", f"cancel:{task_id}", "", f"req-{order.number}")
            await self._submit(RequestCancel(task_id, account_id), wish)
        if order.refund_percent:
            await asyncio.sleep(6)
            await self._refund(order, account_id, task_id, placed)

    async def _refund(self, order: Order, account_id: str, task_id: str, placed: PlaceOrder) -> None:
        """Refund twice, as two requests; together they may exceed what was charged."""
        for turn in range(2):
            command_id = refund_id_of(task_id, f"refund-{turn}")
            amount = max(1, order.k * PRICE_CREDITS_MICRO * order.refund_percent // 200)
            self.refunds[command_id] = amount
            wish = OrderRefund(
                command_id, task_id, account_id, derive_id(Prefix.reservation, task_id), amount, "test"
            )
            await self._submit(wish, Origin(command_id, f"refund:{command_id}", str(amount), "refund"))

    def _note(self, order: Order, task_id: str) -> Callable[[Outcome], None]:
        def note(outcome: Outcome) -> None:
            at = outcome.state.at
            assert at is not None
            started_s = (at - self.line.world.clock.now()).total_seconds() + self.line.world.loop.time()
            self.answered.setdefault(task_id, started_s + order.deadline_s)

        return note

    def _placed(self, order: Order, account_id: str, task_id: str) -> PlaceOrder:
        body = json.dumps({"prompt": f"a portrait, passes {order.pass_percent}"}).encode()
        stored = StoredObject(
            bucket="private",
            key=f"inputs/{task_id}.json",
            sha256=hashlib.sha256(body).hexdigest(),
            size_bytes=len(body),
            content_type="application/json",
        )
        self.line.outside.objects["private", stored.key] = body
        return PlaceOrder(
            task_id=task_id,
            account_id=account_id,
            order=ResolvedOrder(_TEMPLATE, Mode(order.mode), _REF, order.k, 512, 512, order.deadline_s, 5),
            price=Price(PRICE_CREDITS_MICRO, order.k * PRICE_CREDITS_MICRO, "simulated@1"),
            cost_cap_usd_micro=COST_CAP_USD_MICRO,
            request=stored,
            inputs=(),
            label=None,
            deadline_slack_s=DEADLINE_SLACK_S,
        )

    async def _submit(
        self,
        request: Request,
        origin: Origin,
        *,
        repeats: int = 0,
        answered: Callable[[Outcome], None] | None = None,
    ) -> None:
        """Ask until an answer comes, from whatever instance runs; then ask again ``repeats`` times."""
        left = 1 + repeats
        while left:
            outcome = await self._once(request, origin)
            if outcome is None:
                await asyncio.sleep(0.2)
                continue
            left -= 1
            if answered is not None:
                answered(outcome)

    async def _once(self, request: Request, origin: Origin) -> Outcome | None:
        """Make one HTTP request; None when the connection broke, which may be after it was recorded."""
        world = self.line.world
        running = world.alive("ingest")
        if not running:
            return None
        process = running[world.dice.randrange(len(running))]
        front: RequestJournal = self.line.fronts[process.name]
        task = process.spawn(front.submit(request, origin))
        await asyncio.wait([task], timeout=10)
        if not task.done():
            task.cancel()
            return None
        if task.cancelled():
            return None
        error = task.exception()
        if error is None:
            return task.result()
        if isinstance(error, Conflict) or not isinstance(error, Unavailable | Exception):
            raise error
        return None

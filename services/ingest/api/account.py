"""The routes of quotes, templates, offerings and the account."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query

from services.ingest.api.answers import (
    EntryAnswer,
    EntryList,
    Versioned,
)
from services.ingest.api.auth import Guard, Principal, admitted, scoped
from services.ingest.api.other_answers import (
    AccountAnswer,
    OfferingAnswer,
    OfferingList,
    QuoteAnswer,
    TemplateAnswer,
    TemplateList,
)
from services.ingest.api.requests import QuoteRequest
from services.ingest.api.strict import strict_route
from services.ingest.api.tasks import Cursor, Limit
from services.ingest.app.accounts import Accounts
from services.ingest.app.offers import Offers
from services.ingest.app.task_queries import TaskQueries
from services.ingest.domain.cursors import decode_cursor, encode_cursor
from services.ingest.domain.keys import Scope
from services.ingest.domain.task_projection import Page
from winnow.contracts.values import Mode


def account_routes(guard: Guard, offers: Offers, accounts: Accounts, queries: TaskQueries) -> APIRouter:
    """Build the routes."""
    router = APIRouter(prefix="/v1", route_class=strict_route(guard))
    reader = admitted(Scope.tasks_read)
    holder, operator = admitted(Scope.account_read), admitted(Scope.operator)

    @router.post("/quotes", tags=["offers"], openapi_extra=scoped(Scope.tasks_read))
    async def quote(body: QuoteRequest, principal: Principal = reader) -> QuoteAnswer:
        """Price an order without placing it."""
        template, price, cost = await offers.quote(body.template, body.mode, body.k)
        shown = principal.sees_costs
        return QuoteAnswer(
            template=Versioned(name=template.name, version=template.version),
            mode=Mode(body.mode),
            k=body.k,
            price_per_output_credits_micro=price.price_per_output_credits_micro,
            reserve_credits_micro=price.reserve_credits_micro,
            price_rule=price.price_rule,
            expected_cost_usd_micro=cost.expected_cost_usd_micro if shown else None,
            cheapest_cost_usd_micro=cost.cheapest_cost_usd_micro if shown else None,
            cost_cap_default_usd_micro=cost.cost_cap_default_usd_micro if shown else None,
            candidates_expected_count=cost.candidates_expected_count,
        )

    @router.get("/templates", tags=["offers"], openapi_extra=scoped(Scope.tasks_read))
    async def list_templates(principal: Principal = reader) -> TemplateList:
        """List the templates that can be ordered."""
        del principal
        return TemplateList(
            templates=[TemplateAnswer.model_validate(template) for template in offers.templates()]
        )

    @router.get("/offerings", tags=["offers"], openapi_extra=scoped(Scope.operator))
    async def list_offerings(
        principal: Principal = operator,
        capability: Annotated[str, Query(max_length=100, description="Only those that can do this.")] = "",
    ) -> OfferingList:
        """List the offerings with price, health and load. For operators only."""
        del principal
        found = await offers.offerings(capability)
        return OfferingList(offerings=[OfferingAnswer.model_validate(offering) for offering in found])

    @router.get("/account", tags=["account"], openapi_extra=scoped(Scope.account_read))
    async def get_account(principal: Principal = holder) -> AccountAnswer:
        """Read the balance and the grants behind it."""
        return AccountAnswer.model_validate(await accounts.balance(principal.account_id))

    @router.get("/account/entries", tags=["account"], openapi_extra=scoped(Scope.account_read))
    async def list_entries(
        principal: Principal = holder, limit: Limit = 50, cursor: Cursor = None
    ) -> EntryList:
        """List the entries of the books, newest first."""
        after = decode_cursor(cursor) if cursor else None
        found = await queries.entries(principal.account_id, Page(after, limit + 1))
        shown = [EntryAnswer.model_validate(entry) for entry in found[:limit]]
        last = shown[-1] if len(found) > limit else None
        place = encode_cursor(int(last.occurred_at.timestamp() * 1_000_000), last.entry_id) if last else None
        return EntryList(entries=shown, next_cursor=place)

    return router

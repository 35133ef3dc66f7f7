"""The routes of administrators: keys, grants, refunds."""

from __future__ import annotations

from typing import Annotated, Any, Final

from fastapi import APIRouter, Path, Query, Request

from services.ingest.api.auth import Guard, Principal, admitted, scoped
from services.ingest.api.other_answers import (
    AccountSettingsAnswer,
    GrantAnswer,
    KeyList,
    NewKeyAnswer,
    RefundAnswer,
)
from services.ingest.api.requests import (
    AccountSettingsRequest,
    GrantRequest,
    KeyRequest,
    RefundRequest,
)
from services.ingest.api.serializers import key_fields, show_key
from services.ingest.api.strict import strict_route
from services.ingest.api.tasks import IDEMPOTENCY_HEADER, TaskPath, idempotency_key_of
from services.ingest.app.access import Access
from services.ingest.app.account_limits import AccountLimits
from services.ingest.app.accounts import Accounts
from services.ingest.domain.answers import RefundView
from services.ingest.domain.keys import Scope
from winnow.contracts.errors import ErrorCode, Refused
from winnow.contracts.ids import AccountId

_WITH_KEY: Final[dict[str, Any]] = scoped(Scope.admin, parameters=[IDEMPOTENCY_HEADER])


def admin_routes(guard: Guard, access: Access, accounts: Accounts, limits: AccountLimits) -> APIRouter:
    """Build the routes."""
    router = APIRouter(prefix="/v1/admin", tags=["admin"], route_class=strict_route(guard))
    _add_keys(router, access)
    _add_limits(router, limits)
    _add_credits(router, accounts)
    return router


def _add_keys(router: APIRouter, access: Access) -> None:
    """Add creating, listing and revoking keys."""
    admin, extra = admitted(Scope.admin), scoped(Scope.admin)

    @router.post("/keys", status_code=201, openapi_extra=extra)
    async def create_key(body: KeyRequest, principal: Principal = admin) -> NewKeyAnswer:
        """Create a key; its text is shown this once."""
        del principal
        record, text = await access.create_key(body.account_id, body.scopes, body.label, body.expires_at)
        return NewKeyAnswer(**key_fields(record), key=text)

    @router.get("/keys", openapi_extra=extra)
    async def list_keys(
        principal: Principal = admin,
        account_id: Annotated[str | None, Query(max_length=70, description="Only of this account.")] = None,
    ) -> KeyList:
        """List keys without their secrets, newest first."""
        del principal
        return KeyList(keys=[show_key(record) for record in await access.keys(account_id)])

    @router.delete("/keys/{key_id}", status_code=204, openapi_extra=extra)
    async def revoke_key(key_id: Annotated[str, Path(max_length=64)], principal: Principal = admin) -> None:
        """Revoke a key; effective everywhere within two seconds."""
        del principal
        await access.revoke_key(key_id)


def _add_limits(router: APIRouter, limits: AccountLimits) -> None:
    """Add reading and setting what an account may ask for."""
    admin, extra = admitted(Scope.admin), scoped(Scope.admin)

    @router.get("/accounts/{account_id}", openapi_extra=extra)
    async def get_account_settings(
        account_id: AccountId, principal: Principal = admin
    ) -> AccountSettingsAnswer:
        """Read what an account may ask for."""
        del principal
        return AccountSettingsAnswer(
            account_id=account_id, priority_max=await limits.priority_max(account_id)
        )

    @router.put("/accounts/{account_id}", openapi_extra=extra)
    async def set_account_settings(
        account_id: AccountId, body: AccountSettingsRequest, principal: Principal = admin
    ) -> AccountSettingsAnswer:
        """Set what an account may ask for; effective everywhere within two seconds."""
        del principal
        await limits.set_priority_max(account_id, body.priority_max)
        return AccountSettingsAnswer(account_id=account_id, priority_max=body.priority_max)


def _add_credits(router: APIRouter, accounts: Accounts) -> None:
    """Add grants and refunds."""
    admin = admitted(Scope.admin)

    @router.post("/accounts/{account_id}/grants", status_code=202, openapi_extra=_WITH_KEY)
    async def grant_credits(
        account_id: AccountId, body: GrantRequest, request: Request, principal: Principal = admin
    ) -> GrantAnswer:
        """Grant credits to an account; ``applied`` says whether the books hold them already."""
        outcome, applied = await accounts.grant(
            account_id=account_id,
            amount_credits_micro=body.amount_credits_micro,
            source=body.source,
            expires_at=body.expires_at,
            idempotency_key=idempotency_key_of(request),
            correlation_id=principal.request_id,
        )
        grant = outcome.state.grant
        if grant is None:
            raise _reused()
        return GrantAnswer(
            grant_id=grant.grant_id,
            account_id=grant.account_id,
            amount_credits_micro=grant.amount_credits_micro,
            source=grant.source,
            expires_at=grant.expires_at,
            applied=applied,
        )

    @router.post("/tasks/{task_id}/refund", status_code=202, openapi_extra=_WITH_KEY)
    async def refund_task(
        task_id: TaskPath, body: RefundRequest, request: Request, principal: Principal = admin
    ) -> RefundAnswer:
        """Refund part of what a task was charged; ``status`` says what the ledger has decided so far."""
        refund = await accounts.refund(
            task_id=task_id,
            amount_credits_micro=body.amount_credits_micro,
            reason=body.reason,
            idempotency_key=idempotency_key_of(request),
            correlation_id=principal.request_id,
        )
        return _show_refund(refund)

    @router.get("/tasks/{task_id}/refunds/{refund_id}", openapi_extra=scoped(Scope.admin))
    async def read_refund(
        task_id: TaskPath,
        refund_id: Annotated[str, Path(max_length=64, description="The refund's id.")],
        principal: Principal = admin,
    ) -> RefundAnswer:
        """Show a refund and what became of it: pending, refunded, or refused with a reason."""
        del principal
        return _show_refund(await accounts.refund_of(task_id, refund_id))


def _show_refund(refund: RefundView) -> RefundAnswer:
    return RefundAnswer(
        task_id=refund.task_id,
        account_id=refund.account_id,
        amount_credits_micro=refund.amount_credits_micro,
        refund_id=refund.refund_id,
        status=refund.status,
        code=refund.code,
        reason=refund.reason,
        decided_at=refund.decided_at,
    )


def _reused() -> Refused:
    return Refused(ErrorCode.idempotency_key_reused, "This idempotency key was used for another request.")

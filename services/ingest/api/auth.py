"""Authorization of a route: its scope is part of the route's declaration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from fastapi import Depends
from starlette.requests import Request

from services.ingest.app.access import Access
from services.ingest.domain.keys import Caller, Scope, require
from winnow.contracts.errors import ErrorCode, Refused
from winnow.runtime.tracing import trace_from

SCOPE_FIELD: Final = "x-scope"
"""Key under which an operation names its scope in the OpenAPI document."""


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller whose key holds the route's scope, and the id of the request."""

    caller: Caller
    request_id: str
    traceparent: str

    @property
    def account_id(self) -> str:
        """Return the account; raises Refused for the bootstrap administrator, who has none."""
        if self.caller.account_id is None:
            raise Refused(ErrorCode.scope_missing, "This needs a key of an account.")
        return self.caller.account_id

    @property
    def sees_costs(self) -> bool:
        """Return whether provider costs and routes are shown: to operators alone."""
        return self.caller.may(Scope.operator)


class Guard:
    """Proves the caller, takes one request from the key's rate, and requires the scope, in this order."""

    def __init__(self, access: Access) -> None:
        """Ask the access use case."""
        self._access = access

    async def admit(self, request: Request, scope: Scope) -> Principal:
        """Let a request in; raises Refused."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        try:
            caller = await self._access.prove(token.strip() if scheme.lower() == "bearer" else None)
        except Refused:
            address = request.client.host if request.client else "unknown"
            self._limit(request, self._access.admit_unproven(address))
            raise
        self._limit(request, self._access.admit(caller))
        require(caller, scope)
        request_id = request.state.request_id
        return Principal(caller, request_id, trace_from(request.headers.get("traceparent"), request_id))

    def _limit(self, request: Request, allowance: Any) -> None:
        request.state.allowance = allowance
        if not allowance.allowed:
            raise Refused(
                ErrorCode.rate_limited,
                "Too many requests; wait as long as Retry-After says.",
                retry_after_s=allowance.retry_after_s,
            )


def scoped(scope: Scope, **extra: Any) -> dict[str, Any]:
    """Return what a route's declaration says about its scope, with further OpenAPI fields of the operation."""
    return {SCOPE_FIELD: scope.value, "security": [{"key": []}], **extra}


def admitted(scope: Scope) -> Any:
    """Return the dependency of a route's visitor, whom the route has admitted; its scope is required once more."""

    async def principal(request: Request) -> Principal:
        found: Principal = request.state.principal
        require(found.caller, scope)
        return found

    return Depends(principal)

"""Access: principals, their rate limits and their keys."""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final

from services.ingest.app.ports import Keys
from services.ingest.app.ttl_cache import TtlCache
from services.ingest.domain.keys import (
    Caller,
    KeyRecord,
    Scope,
    authenticate,
    check_future,
    digest_of,
    new_key,
    parse_key,
)
from services.ingest.domain.limits import Allowance, Bucket, Rate, origin_of, take
from winnow.contracts.errors import ErrorCode, NotFound, Refused
from winnow.runtime.clock import Clock

KEY_LIFETIME_S: Final = 2.0
"""Seconds for which a key is believed without a look-up: a revocation is effective everywhere after it."""
_BUCKETS_MAX: Final = 50_000
BOOTSTRAP_KEY_ID: Final = "bootstrap"


class Access:
    """Proves callers, limits their rate, and keeps their keys."""

    def __init__(
        self,
        *,
        keys: Keys,
        clock: Clock,
        pepper: bytes,
        admin_token: str | None,
        rate: Rate,
        anonymous_rate: Rate,
        random_bytes: Callable[[int], bytes],
    ) -> None:
        """Keep the administrator's bootstrap token only as a hash."""
        self._keys = keys
        self._clock = clock
        self._pepper = pepper
        self._admin_hash = hashlib.sha256(admin_token.encode()).digest() if admin_token else None
        self._rate = rate
        self._anonymous_rate = anonymous_rate
        self._random_bytes = random_bytes
        self._known: TtlCache[str, KeyRecord | None] = TtlCache(clock, KEY_LIFETIME_S)
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    async def prove(self, token: str | None) -> Caller:
        """Accept a bearer token; raises Refused: ``unauthenticated``, ``key_revoked``."""
        if not token:
            raise Refused(ErrorCode.unauthenticated, "Send an API key as `Authorization: Bearer wk_live_…`.")
        if self._is_admin_token(token):
            return Caller(BOOTSTRAP_KEY_ID, None, frozenset({Scope.admin, Scope.operator}))
        parsed = parse_key(token)
        if parsed is None:
            raise Refused(ErrorCode.unauthenticated, "The API key is not known.")
        key_id, secret = parsed
        record = await self._known.get(key_id, lambda: self._keys.find(key_id))
        return authenticate(record, digest_of(secret, self._pepper), self._clock.now())

    def admit(self, caller: Caller) -> Allowance:
        """Take one request from the key's bucket."""
        return self._take(caller.key_id, self._rate)

    def admit_unproven(self, address: str) -> Allowance:
        """Take one failed proof from the address's bucket, which slows guessing."""
        return self._take(f"address {origin_of(address)}", self._anonymous_rate)

    async def create_key(
        self, account_id: str, scopes: Iterable[Scope], label: str, expires_at: datetime | None
    ) -> tuple[KeyRecord, str]:
        """Make a key; returns its record and the text that is shown this once.

        Raises Refused with ``out_of_bounds`` for one that would have expired already.
        """
        check_future("expires_at", expires_at, self._clock.now())
        key_id, secret, text = new_key(self._random_bytes(40))
        record = KeyRecord(
            key_id=key_id,
            digest=digest_of(secret, self._pepper),
            account_id=account_id,
            scopes=frozenset(scopes),
            label=label,
            created_at=self._clock.now(),
            expires_at=expires_at,
        )
        await self._keys.add(record)
        self._known.forget(key_id)
        return record, text

    async def keys(self, account_id: str | None) -> list[KeyRecord]:
        """Return the keys of an account, or all."""
        return await self._keys.list(account_id)

    async def revoke_key(self, key_id: str) -> None:
        """Revoke a key; raises NotFound."""
        if not await self._keys.revoke(key_id, self._clock.now()):
            raise NotFound("There is no such key.")
        self._known.forget(key_id)

    def _is_admin_token(self, token: str) -> bool:
        if self._admin_hash is None:
            return False
        return hmac.compare_digest(hashlib.sha256(token.encode()).digest(), self._admin_hash)

    def _take(self, name: str, rate: Rate) -> Allowance:
        bucket, allowance = take(self._buckets.get(name), rate, self._clock.monotonic_s())
        self._buckets[name] = bucket
        self._buckets.move_to_end(name)
        while len(self._buckets) > _BUCKETS_MAX:
            self._buckets.popitem(last=False)
        return allowance

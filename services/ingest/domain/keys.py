"""API keys: their form, their proof, and what they permit."""

from __future__ import annotations

import hashlib
import hmac
import re
import zlib
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from winnow.contracts.errors import ErrorCode, Refused

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_SECRET_LENGTH: Final = 43
"""Base62 digits of 32 bytes: ceil(256 / log2(62))."""
_CHECK_LENGTH: Final = 6
_ID_LENGTH: Final = 8
_FORM: Final = re.compile(
    rf"^wk_live_(?P<id>[0-9A-Za-z]{{{_ID_LENGTH}}})_"
    rf"(?P<secret>[0-9A-Za-z]{{{_SECRET_LENGTH}}})(?P<check>[0-9A-Za-z]{{{_CHECK_LENGTH}}})$"
)


class Scope(StrEnum):
    """Permission of a key; the value is the word in the API."""

    tasks_write = "tasks:write"
    tasks_read = "tasks:read"
    account_read = "account:read"
    webhooks_write = "webhooks:write"
    operator = "operator"
    admin = "admin"


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A stored key: its id and proof, never its secret."""

    key_id: str
    digest: str
    account_id: str
    scopes: frozenset[Scope]
    label: str
    created_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Caller:
    """Caller of a request. The bootstrap administrator belongs to no account."""

    key_id: str
    account_id: str | None
    scopes: frozenset[Scope]

    def may(self, scope: Scope) -> bool:
        """Return whether the scope is held; no scope implies another."""
        return scope in self.scopes


def base62(value: bytes, length: int) -> str:
    """Write bytes as ``length`` base62 digits, most significant first, the excess cut off."""
    number = int.from_bytes(value, "big")
    digits: list[str] = []
    for _ in range(length):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits))


def new_key(randomness: bytes) -> tuple[str, str, str]:
    """Make a key from 40 random bytes; return (key id, secret, the whole text shown once)."""
    key_id = base62(randomness[32:40], _ID_LENGTH)
    secret = base62(randomness[:32], _SECRET_LENGTH)
    return key_id, secret, f"wk_live_{key_id}_{secret}{_check(key_id, secret)}"


def parse_key(text: str) -> tuple[str, str] | None:
    """Return (key id, secret), or None for text that is no key: a typing error costs no look-up."""
    match = _FORM.match(text)
    if match is None:
        return None
    key_id, secret = match["id"], match["secret"]
    return (key_id, secret) if hmac.compare_digest(_check(key_id, secret), match["check"]) else None


def digest_of(secret: str, pepper: bytes) -> str:
    """Return the proof that is stored: HMAC-SHA-256 (256 random bits need no slow hash)."""
    return hmac.new(pepper, secret.encode(), hashlib.sha256).hexdigest()


def authenticate(record: KeyRecord | None, digest: str, now: datetime) -> Caller:
    """Accept a key or raise Refused: ``unauthenticated``, or ``key_revoked`` (also when expired)."""
    # The comparison runs for an unknown key too, so that the time tells nothing about its existence.
    proven = hmac.compare_digest(record.digest if record else "0" * len(digest), digest)
    if record is None or not proven:
        raise Refused(ErrorCode.unauthenticated, "The API key is not known.")
    if record.revoked_at is not None:
        raise Refused(ErrorCode.key_revoked, "The API key was revoked.")
    if record.expires_at is not None and record.expires_at <= now:
        raise Refused(ErrorCode.key_revoked, "The API key has expired.")
    return Caller(record.key_id, record.account_id, record.scopes)


def check_future(name: str, at: datetime | None, now: datetime) -> None:
    """Raise Refused with ``out_of_bounds`` for a time that is not in the future; None is never."""
    if at is not None and at <= now:
        raise Refused(ErrorCode.out_of_bounds, f"{name} must lie in the future.", pointer=name)


def require(caller: Caller, scope: Scope) -> None:
    """Raise Refused with ``scope_missing`` unless the caller holds the scope."""
    if not caller.may(scope):
        raise Refused(
            ErrorCode.scope_missing, f"This needs a key with the scope {scope.value}.", scope=scope.value
        )


def _check(key_id: str, secret: str) -> str:
    return base62(zlib.crc32(f"{key_id}_{secret}".encode()).to_bytes(4, "big"), _CHECK_LENGTH)

"""One tree of errors. Domain errors know no transport: each edge maps a code to its own status.

| WinnowError
| ├── Refused            the request is understood and answered with no; asking again changes nothing
| │   ├── NotFound
| │   └── Conflict
| └── Unavailable        a part that is needed does not answer; asking again later may work
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar


class ErrorCode(StrEnum):
    """Stable codes; the public API, gRPC and the command line show exactly these words."""

    unauthenticated = "unauthenticated"
    key_revoked = "key_revoked"
    scope_missing = "scope_missing"
    invalid_request = "invalid_request"
    unknown_field = "unknown_field"
    duplicate_field = "duplicate_field"
    characters_not_allowed = "characters_not_allowed"
    unsupported_media_type = "unsupported_media_type"
    priority_not_allowed = "priority_not_allowed"
    out_of_bounds = "out_of_bounds"
    unknown_template = "unknown_template"
    unknown_mode = "unknown_mode"
    unknown_profile = "unknown_profile"
    prompt_too_long = "prompt_too_long"
    prompt_refused = "prompt_refused"
    cost_cap_too_low = "cost_cap_too_low"
    insufficient_credits = "insufficient_credits"
    idempotency_key_missing = "idempotency_key_missing"
    idempotency_key_reused = "idempotency_key_reused"
    image_not_decodable = "image_not_decodable"
    image_too_large = "image_too_large"
    image_too_small = "image_too_small"
    body_too_large = "body_too_large"
    url_not_allowed = "url_not_allowed"
    url_not_reachable = "url_not_reachable"
    url_tls_failed = "url_tls_failed"
    rate_limited = "rate_limited"
    not_found = "not_found"
    method_not_allowed = "method_not_allowed"
    already_ended = "already_ended"
    cancel_already_requested = "cancel_already_requested"
    no_offering = "no_offering"
    not_enough_passed = "not_enough_passed"
    deadline_exceeded = "deadline_exceeded"
    cost_cap_reached = "cost_cap_reached"
    rounds_exhausted = "rounds_exhausted"
    reservation_unknown = "reservation_unknown"
    reservation_already_resolved = "reservation_already_resolved"
    amount_not_allowed = "amount_not_allowed"
    delivery_failed = "delivery_failed"
    unavailable = "unavailable"
    internal = "internal"


class WinnowError(Exception):
    """An error with a stable code, a detail for people, and fields for programs."""

    retryable: ClassVar[bool] = False

    def __init__(self, code: ErrorCode, detail: str, **fields: str | int | None) -> None:
        """Keep the code, the sentence, and extra members such as ``shortfall_credits_micro``."""
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.fields = fields


class Refused(WinnowError):
    """The request is understood and answered with no."""


class NotFound(Refused):
    """The thing does not exist, or not for this account."""

    def __init__(self, detail: str) -> None:
        """Name what was not found."""
        super().__init__(ErrorCode.not_found, detail)


class Conflict(Refused):
    """The request contradicts an earlier one or the state that was reached."""


class Unavailable(WinnowError):
    """A part that is needed does not answer now."""

    retryable = True

    def __init__(self, detail: str, retry_after_s: int = 1) -> None:
        """Name the missing part, and the time after which to ask again."""
        super().__init__(ErrorCode.unavailable, detail, retry_after_s=retry_after_s)

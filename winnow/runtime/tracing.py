"""W3C trace context that travels with messages: one trace per request, a new span per message."""

from __future__ import annotations

import hashlib
import re

_TRACEPARENT = re.compile(r"^00-([0-9a-f]{32})-[0-9a-f]{16}-([0-9a-f]{2})$")


def child_of(traceparent: str | None, name: str) -> str | None:
    """Return the trace context of a consequence, its span id derived from ``name``; None stays None."""
    match = _TRACEPARENT.match(traceparent or "")
    if match is None:
        return None
    return f"00-{match[1]}-{hashlib.sha256(name.encode()).hexdigest()[:16]}-{match[2]}"


def trace_from(traceparent: str | None, name: str) -> str:
    """Continue the trace of a request, or start one whose id is derived from ``name``."""
    digest = hashlib.sha256(name.encode()).hexdigest()
    return child_of(traceparent, name) or f"00-{digest[:32]}-{digest[32:48]}-01"

"""Token buckets: how often a key may ask."""

from __future__ import annotations

import ipaddress
import math
from dataclasses import dataclass
from typing import Final

_SUBNET_BITS: Final = 64
"""The part of an IPv6 address that names a subnet; a host chooses the rest as it likes (RFC 4291, section 2.5.4)."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A bucket's size and its refill per second."""

    burst_count: int
    per_second: float


@dataclass(frozen=True, slots=True)
class Bucket:
    """Tokens left at a monotonic time."""

    tokens: float
    at_s: float


@dataclass(frozen=True, slots=True)
class Allowance:
    """The answer, with what the ``RateLimit-*`` headers say."""

    allowed: bool
    limit_count: int
    remaining_count: int
    reset_s: int
    retry_after_s: int


def origin_of(address: str) -> str:
    """Return whose bucket an address takes from: an IPv4 address its own, an IPv6 address that of its /64."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, _SUBNET_BITS), strict=False))
    return str(parsed)


def take(bucket: Bucket | None, rate: Rate, now_s: float) -> tuple[Bucket, Allowance]:
    """Take one token if there is one; a new bucket is full."""
    tokens = float(rate.burst_count)
    if bucket is not None:
        grown = bucket.tokens + max(0.0, now_s - bucket.at_s) * rate.per_second
        tokens = min(tokens, grown)
    allowed = tokens >= 1.0
    left = tokens - 1.0 if allowed else tokens
    retry_after_s = 0 if allowed else max(1, math.ceil((1.0 - left) / rate.per_second))
    allowance = Allowance(
        allowed=allowed,
        limit_count=rate.burst_count,
        remaining_count=int(left),
        reset_s=math.ceil((rate.burst_count - left) / rate.per_second),
        retry_after_s=retry_after_s,
    )
    return Bucket(left, now_s), allowance

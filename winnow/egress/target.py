"""Reads a URL that a stranger wrote into the host and port that are connected to, or says what is wrong with it.

A host has one spelling here: lower-case letters, digits and hyphens, or an address as its standard writes it.
Every other spelling is refused, so that no two readers of a URL can disagree about where it leads.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final
from urllib.parse import SplitResult, quote, urlsplit

import idna
from yarl import URL

from winnow.egress.addresses import Address

URL_LENGTH_MAX: Final = 2048
_HOST_LENGTH_MAX: Final = 253
_LABEL: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)")
_NUMERIC: Final = re.compile(r"[0-9]+|0x[0-9a-f]*")
"""A last label that a browser or a C library reads as a part of an IPv4 address (WHATWG URL, section 3.5)."""
_PORTS: Final = {"https": 443, "http": 80}
_KEPT: Final = "%/:?#[]@!$&'()*+,;=-._~"
"""Characters of a path and a query that are sent as they are (RFC 3986)."""


class EgressReason(StrEnum):
    """Reason why a URL was not read or not written to, as a word that is safe to show and to count."""

    malformed_url = "malformed_url"
    address_not_allowed = "address_not_allowed"
    name_not_resolved = "name_not_resolved"
    certificate_expired = "certificate_expired"
    certificate_wrong_host = "certificate_wrong_host"
    certificate_untrusted = "certificate_untrusted"
    tls_failed = "tls_failed"
    timed_out = "timed_out"
    not_reachable = "not_reachable"
    too_many_redirects = "too_many_redirects"


class EgressError(Exception):
    """A request that did not end well; ``detail`` is a sentence for the URL's author and holds no address."""

    def __init__(self, reason: EgressReason, detail: str) -> None:
        """Hold the reason and the sentence."""
        super().__init__(detail)
        self.reason = reason
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Target:
    """A URL in its one spelling; ``address`` is set when the host is an address and not a name."""

    url: URL
    host: str
    port: int
    address: Address | None

    @property
    def scheme(self) -> str:
        """Return ``http`` or ``https``."""
        return self.url.scheme

    @property
    def place(self) -> str:
        """Return ``host:port``, an IPv6 address in brackets."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def read_target(url: str) -> Target:
    """Read an http or https URL. Raises EgressError (malformed_url)."""
    if len(url) > URL_LENGTH_MAX:
        raise _malformed(f"The URL is longer than {URL_LENGTH_MAX} characters.")
    if not url.isprintable() or any(sign in url for sign in ' \\"<>`'):
        raise _malformed("The URL holds a character that a URL cannot have.")
    try:
        parts = urlsplit(url)
        port = parts.port
        named = parts.hostname
    except ValueError:
        raise _malformed("This is not a URL.") from None
    if parts.scheme not in _PORTS or not named:
        raise _malformed("The URL must begin with https:// and name a host.")
    if "@" in parts.netloc:
        raise _malformed("A URL with a user name or password is not used.")
    if port == 0:
        raise _malformed("The URL names port 0.")
    host, address = _ipv6(named) if "[" in parts.netloc else _name_or_ipv4(named)
    number = port or _PORTS[parts.scheme]
    authority = f"[{host}]" if ":" in host else host
    if number != _PORTS[parts.scheme]:
        authority = f"{authority}:{number}"
    return Target(URL(_spelt(parts, authority), encoded=True), host, number, address)


def _spelt(parts: SplitResult, authority: str) -> str:
    path = quote(parts.path, safe=_KEPT) or "/"
    query = f"?{quote(parts.query, safe=_KEPT)}" if parts.query else ""
    return f"{parts.scheme}://{authority}{path}{query}"


def _name_or_ipv4(named: str) -> tuple[str, Address | None]:
    host = _ascii(named)
    labels = host.split(".")
    if len(host) > _HOST_LENGTH_MAX or not all(_LABEL.fullmatch(label) for label in labels):
        raise _malformed("The URL's host is not a host name.")
    if _NUMERIC.fullmatch(labels[-1]):
        try:
            return host, IPv4Address(host)
        except ValueError:
            raise _malformed("The URL's host is a number that is not a dotted IPv4 address.") from None
    if any(label.startswith("xn--") for label in labels):
        try:
            idna.decode(host)
        except UnicodeError:
            raise _malformed("The URL's host holds a label of broken Punycode.") from None
    return host, None


def _ipv6(named: str) -> tuple[str, Address | None]:
    try:
        address = ip_address(named)
    except ValueError:
        raise _malformed("The URL's host is not an IPv6 address.") from None
    if not isinstance(address, IPv6Address) or address.scope_id is not None:
        raise _malformed("The URL's host is an address of one link.")
    mapped = address.ipv4_mapped
    if mapped is not None:
        # Python 3.13 writes such an address with dots, older ones in hexadecimal.
        high, low = divmod(int(mapped), 1 << 16)
        return f"::ffff:{high:x}:{low:x}", address
    return address.compressed, address


def _ascii(named: str) -> str:
    if named.isascii():
        return named.lower()
    try:
        return idna.encode(named, uts46=True, transitional=False).decode("ascii").lower()
    except UnicodeError:
        raise _malformed("The URL's host is not a host name.") from None


def _malformed(detail: str) -> EgressError:
    return EgressError(EgressReason.malformed_url, detail)

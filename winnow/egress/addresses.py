"""Public IP addresses: global unicast, less both registries of special-purpose addresses.

An IPv6 address that carries an IPv4 address is judged by that one too, since a translator or a tunnel
would send the packet there.

Source: IANA IPv4 and IPv6 Special-Purpose Address Registries (updated 2025-10-09), IANA IPv4 and IPv6
Address Space registries.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Final

Address = IPv4Address | IPv6Address

SPECIAL_IPV4: Final[tuple[tuple[IPv4Network, str], ...]] = tuple(
    (IPv4Network(network), name)
    for network, name in (
        ("0.0.0.0/8", "this network, RFC 791"),
        ("10.0.0.0/8", "private use, RFC 1918"),
        ("100.64.0.0/10", "shared address space, RFC 6598"),
        ("127.0.0.0/8", "loopback, RFC 1122"),
        ("168.63.129.16/32", "host service of Azure, in no registry: it serves each virtual machine its own"),
        ("169.254.0.0/16", "link local, RFC 3927"),
        ("172.16.0.0/12", "private use, RFC 1918"),
        ("192.0.0.0/24", "IETF protocol assignments, RFC 6890"),
        ("192.0.2.0/24", "documentation, RFC 5737"),
        ("192.31.196.0/24", "AS112, RFC 7535"),
        ("192.52.193.0/24", "AMT, RFC 7450"),
        ("192.88.99.0/24", "deprecated 6to4 relay anycast, RFC 7526"),
        ("192.168.0.0/16", "private use, RFC 1918"),
        ("192.175.48.0/24", "direct delegation AS112, RFC 7534"),
        ("198.18.0.0/15", "benchmarking, RFC 2544"),
        ("198.51.100.0/24", "documentation, RFC 5737"),
        ("203.0.113.0/24", "documentation, RFC 5737"),
        ("224.0.0.0/4", "multicast, RFC 5771"),
        ("240.0.0.0/4", "reserved, RFC 1112"),
    )
)
"""Every block of the registry, those that are globally reachable too: none of them is somebody's web server.

One public address is refused beside them: Azure answers it from the machine's own host, as others do in 169.254.0.0/16.
"""

GLOBAL_IPV6: Final = IPv6Network("2000::/3")
"""The only block from which global unicast addresses are assigned (RFC 4291, RFC 3587)."""

SPECIAL_IPV6: Final[tuple[tuple[IPv6Network, str], ...]] = tuple(
    (IPv6Network(network), name)
    for network, name in (
        ("2001::/23", "IETF protocol assignments with Teredo, benchmarking, ORCHID, RFC 2928"),
        ("2001:db8::/32", "documentation, RFC 3849"),
        ("2002::/16", "6to4, RFC 3056"),
        ("2620:4f:8000::/48", "direct delegation AS112, RFC 7534"),
        ("3fff::/20", "documentation, RFC 9637"),
    )
)
"""The registry's blocks inside ``GLOBAL_IPV6``; what lies outside of that is refused as a whole."""

_IPV4_MAPPED: Final = IPv6Network("::ffff:0:0/96")
_IPV4_IN_LAST_32_BITS: Final = (
    IPv6Network("::/96"),  # IPv4-compatible, RFC 4291
    _IPV4_MAPPED,  # RFC 4291
    IPv6Network("::ffff:0:0:0/96"),  # IPv4-translated, RFC 2765
    IPv6Network("64:ff9b::/96"),  # NAT64, RFC 6052
    IPv6Network("64:ff9b:1::/48"),  # local-use NAT64 with a prefix of 96 bits, RFC 8215
)
_LOCAL_NAT64: Final = IPv6Network("64:ff9b:1::/48")
_6TO4: Final = IPv6Network("2002::/16")
_TEREDO: Final = IPv6Network("2001::/32")
_ISATAP: Final = 0x0000_5EFE
_ISATAP_MASK: Final = 0xFCFF_FFFF
"""The universal and group bits of an ISATAP interface identifier may be either (RFC 5214)."""


def refusal_of(address: Address) -> str | None:
    """Return the name of the range for which an address is not public, or None for a public address."""
    if isinstance(address, IPv4Address):
        return next((name for network, name in SPECIAL_IPV4 if address in network), None)
    if address.scope_id is not None:
        return "an address of one link"
    for embedded in embedded_ipv4(address):
        name = refusal_of(embedded)
        if name is not None:
            return f"{name}, inside an IPv6 address"
    if address in _IPV4_MAPPED:
        return None  # The socket connects to the IPv4 address, which is public.
    if address not in GLOBAL_IPV6:
        return "outside of global unicast, RFC 4291"
    return next((name for network, name in SPECIAL_IPV6 if address in network), None)


def embedded_ipv4(address: IPv6Address) -> tuple[IPv4Address, ...]:
    """Return every IPv4 address that an IPv6 address carries, in each form that it has."""
    value = int(address)
    found = []
    if any(address in network for network in _IPV4_IN_LAST_32_BITS):
        found.append(value)
    if address in _LOCAL_NAT64:
        # RFC 6052 with a prefix of 48 bits: bits 64 to 71 lie between the halves of the IPv4 address.
        found.append((value >> 64 & 0xFFFF) << 16 | value >> 40 & 0xFFFF)
    if address in _6TO4:
        found.append(value >> 80)
    if address in _TEREDO:
        found += [value >> 64, ~value]  # the server's, and the client's with every bit inverted (RFC 4380)
    if value >> 32 & _ISATAP_MASK == _ISATAP:
        found.append(value)
    return tuple(IPv4Address(number & 0xFFFF_FFFF) for number in found)

"""Public addresses: every range of both registries, and every way to carry IPv4 inside IPv6."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.egress.addresses import embedded_ipv4, refusal_of

# IANA IPv4 Special-Purpose Address Registry, every row (updated 2025-10-09), and the blocks of the IPv4 Address
# Space registry that are not unicast.
IPV4 = [
    "0.0.0.0/8",
    "0.0.0.0/32",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.0.0/29",
    "192.0.0.8/32",
    "192.0.0.9/32",
    "192.0.0.10/32",
    "192.0.0.170/32",
    "192.0.0.171/32",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.88.99.2/32",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "240.0.0.0/4",
    "255.255.255.255/32",
    "224.0.0.0/4",
]

# IANA IPv6 Special-Purpose Address Registry, every row (updated 2025-10-09), and the blocks of the IPv6 Address
# Space registry that are not global unicast (RFC 4291, RFC 3879 for fec0::/10, RFC 4048 for 0200::/7).
IPV6 = [
    "::1/128",
    "::/128",
    "::ffff:0:0/104",
    "64:ff9b::/96",
    "64:ff9b:1::/48",
    "100::/64",
    "100:0:0:1::/64",
    "2001::/23",
    "2001::/32",
    "2001:1::1/128",
    "2001:1::2/128",
    "2001:1::3/128",
    "2001:2::/48",
    "2001:3::/32",
    "2001:4:112::/48",
    "2001:10::/28",
    "2001:20::/28",
    "2001:30::/28",
    "2001:db8::/32",
    "2002::/16",
    "2620:4f:8000::/48",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    "::/96",
    "::ffff:0:0:0/96",
    "fec0::/10",
    "200::/7",
    "400::/6",
    "800::/5",
    "1000::/4",
    "4000::/3",
    "6000::/3",
    "8000::/3",
    "a000::/3",
    "c000::/3",
    "e000::/4",
    "f000::/5",
    "f800::/6",
    "fe00::/9",
    "ff00::/8",
]

# Public by the registries, yet answered by the host of a virtual machine.
HOST_SERVICES = ["168.63.129.16/32", "::ffff:168.63.129.16/128", "64:ff9b::168.63.129.16/128"]

PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "93.184.216.34",
    "100.63.255.255",
    "100.128.0.1",
    "168.63.129.15",
    "168.63.129.17",
    "172.15.255.255",
    "172.32.0.1",
    "191.255.255.255",
    "192.0.1.1",
    "192.88.98.255",
    "192.88.100.1",
    "198.17.255.255",
    "198.20.0.1",
    "223.255.255.255",
    "2000::1",
    "2001:200::1",
    "2003::1",
    "2606:4700::1111",
    "2620:4f:8001::1",
    "2a00:1450:4001::1",
    "3ffe:ffff::1",
    "3fff:1000::1",
    "::ffff:93.184.216.34",
]


@pytest.mark.parametrize("block", [*IPV4, *IPV6, *HOST_SERVICES])
def test_no_address_of_a_special_purpose_range_is_public(block: str):
    network = ip_network(block)
    last = network.num_addresses - 1
    for offset in {0, min(1, last), last // 2, last}:
        assert refusal_of(network[offset]) is not None, network[offset]


@pytest.mark.parametrize("text", PUBLIC)
def test_global_unicast_is_public(text: str):
    assert refusal_of(ip_address(text)) is None


@pytest.mark.parametrize("text", ["fe80::1%eth0", "2606:4700::1%1"])
def test_an_address_with_a_zone_is_not_public(text: str):
    assert refusal_of(ip_address(text)) is not None


def ipv4_in(network: str, shift: int = 0):
    """Put an IPv4 address into a network, so many bits from the right."""
    return lambda value, rest: int(IPv6Network(network)[0]) | value << shift | (rest & ((1 << shift) - 1))


# Every form in which a translator, a tunnel or a kernel finds an IPv4 address, by the standard that says so.
FORMS = {
    "IPv4-compatible, RFC 4291": ipv4_in("::/96"),
    "IPv4-mapped, RFC 4291": ipv4_in("::ffff:0:0/96"),
    "IPv4-translated, RFC 2765": ipv4_in("::ffff:0:0:0/96"),
    "NAT64, RFC 6052": ipv4_in("64:ff9b::/96"),
    "local NAT64 with 96 bits, RFC 8215": ipv4_in("64:ff9b:1::/96"),
    "local NAT64 with 48 bits, RFC 8215": lambda value, rest: (
        int(IPv6Network("64:ff9b:1::/48")[0])
        | value >> 16 << 64
        | (value & 0xFFFF) << 40
        | rest & (1 << 40) - 1
    ),
    "6to4, RFC 3056": ipv4_in("2002::/16", 80),
    "Teredo's server, RFC 4380": ipv4_in("2001::/32", 64),
    "Teredo's client, RFC 4380": lambda value, rest: (
        int(IPv6Network("2001::/32")[0]) | (rest & (1 << 64) - 1) << 32 | value ^ 0xFFFF_FFFF
    ),
    "ISATAP, RFC 5214": lambda value, rest: _global(rest) | 0x0000_5EFE << 32 | value,
    "ISATAP with a universal identifier, RFC 5214": lambda value, rest: (
        _global(rest) | 0x0200_5EFE << 32 | value
    ),
}


def _global(rest: int) -> int:
    """A prefix of 64 bits inside 2600::/8, which is global unicast and holds no other form."""
    return 0x26 << 120 | (rest & (1 << 56) - 1) << 64


special_ipv4 = st.sampled_from([IPv4Network(network) for network in IPV4]).flatmap(
    lambda network: st.integers(int(network[0]), int(network[-1]))
)


@pytest.mark.parametrize("form", FORMS)
@given(value=special_ipv4, rest=st.integers(0, 2**128 - 1))
def test_an_address_that_carries_a_private_ipv4_address_is_never_public(form: str, value: int, rest: int):
    carrier = IPv6Address(FORMS[form](value, rest))
    assert IPv4Address(value) in embedded_ipv4(carrier)
    assert refusal_of(carrier) is not None, carrier


@given(value=st.integers(0, 2**32 - 1), rest=st.integers(0, 2**56 - 1))
def test_isatap_is_judged_by_its_ipv4_address_alone(value: int, rest: int):
    carrier = IPv6Address(FORMS["ISATAP, RFC 5214"](value, rest))
    outside = any(
        carrier in IPv6Network(network)
        for network in ("2620:4f:8000::/48", "2001::/23", "2001:db8::/32", "2002::/16")
    )
    refused = any(IPv4Address(value) in IPv4Network(network) for network in IPV4)
    assert (refusal_of(carrier) is not None) == (refused or outside)


@given(value=st.integers(0, 2**128 - 1))
def test_what_is_public_lies_in_global_unicast_or_is_a_mapped_ipv4_address(value: int):
    address = IPv6Address(value)
    if refusal_of(address) is None:
        assert address in IPv6Network("2000::/3") or address.ipv4_mapped is not None


@given(value=st.integers(0, 2**32 - 1))
def test_an_ipv4_address_is_public_exactly_outside_of_the_registry(value: int):
    address = IPv4Address(value)
    assert (refusal_of(address) is not None) == any(address in IPv4Network(network) for network in IPV4)

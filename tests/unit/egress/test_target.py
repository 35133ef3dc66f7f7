"""Reading of a stranger's URL: one spelling of a host, or a refusal; never another exception."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import ip_address
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.egress.client import EgressRules, GuardedClient
from winnow.egress.target import EgressError, EgressReason, read_target

MALFORMED = [
    "", "no url", "example.test", "//example.test/", "https:", "https://", "https:///x", "https:example.test",
    "ftp://example.test/", "file:///etc/passwd", "javascript:alert(1)",
    "https://a..b/", "https://.example.test/", "https://example.test./", "https://example.test../",
    "https://" + "a" * 64 + ".test/", "https://" + "a." * 127 + "test/", "https://-a.test/", "https://a-.test/",
    "https://xn--/", "https://xn--a/", "https://xn--ls8h=.test/", "https://xn--\u00fc.test/", "https://a.xn--0.test/",
    "https://%31%32%37.0.0.1/", "https://example%2etest/", "https://example.test%00.other.test/",
    "https://0x7f.1/", "https://0x7f000001/", "https://017700000001/", "https://2130706433/", "https://127.1/",
    "https://0177.0.0.1/", "https://127.0.0.1./", "https://1.2.3.4.5/", "https://256.1.1.1/", "https://a.0x/",
    "https://example.test:0/", "https://example.test:65536/", "https://example.test:port/",
    "https://example.test:-1/", "https://example.test:4_4/", "https://example.test:\u0664\u0664/",
    "https://user:word@example.test/", "https://@example.test/", "https://a.test\\@b.test/",
    "https://a.test\t/", "https://a.test/\r\nx: y", "https://a .test/", "https://a.test/\u0000",
    "https://a\u00ad.test/", "https://a\u200d.test/", "https://a.test/\u202egpj.exe",
    "https://[::1/", "https://[v1.x]/", "https://[1.2.3.4]/", "https://[fe80::1%25eth0]/", "https://[::g]/",
    "https://a*b.test/", "https://a,b.test/", "https://(a).test/", "https://\u2603\ufe0f\u20e3.test/",
    "https://example.test/" + "a" * 2048,
]  # fmt: skip


@pytest.mark.parametrize("url", MALFORMED)
def test_a_malformed_url_is_named_so(url: str):
    with pytest.raises(EgressError) as refused:
        read_target(url)
    assert refused.value.reason is EgressReason.malformed_url


@pytest.mark.parametrize(
    ("url", "sent", "place"),
    [
        ("https://Example.TEST", "https://example.test/", "example.test:443"),
        ("https://example.test:443/a?b#c", "https://example.test/a?b", "example.test:443"),
        ("http://example.test:8080/", "http://example.test:8080/", "example.test:8080"),
        ("https://a_b.test/%2F?x=%2F+%20&y", "https://a_b.test/%2F?x=%2F+%20&y", "a_b.test:443"),
        ("https://münchen.test/ü?ü", "https://xn--mnchen-3ya.test/%C3%BC?%C3%BC", "xn--mnchen-3ya.test:443"),
        ("https://１２７。0.0.1/", "https://127.0.0.1/", "127.0.0.1:443"),
        ("https://[2606:4700:0::1]:8443/", "https://[2606:4700::1]:8443/", "[2606:4700::1]:8443"),
        ("https://[::FFFF:127.0.0.1]/", "https://[::ffff:7f00:1]/", "[::ffff:7f00:1]:443"),
    ],
)
def test_a_url_has_one_spelling(url: str, sent: str, place: str):
    target = read_target(url)
    assert (str(target.url), target.place) == (sent, place)


@given(st.text() | st.text(st.sampled_from("https:/[]@.%x0127aé\\#?-_")).map(lambda text: f"https://{text}"))
def test_any_text_is_a_target_or_a_refusal(text: str):
    with suppress(EgressError):
        target = read_target(text)
        assert str(target.url).isascii()
        # Another reader of the same URL must find the same host and port.
        parts = urlsplit(str(target.url))
        assert (parts.hostname, parts.port or {"https": 443, "http": 80}[parts.scheme]) == (
            target.host,
            target.port,
        )
        assert (target.url.raw_host, target.url.port) == (target.host, target.port)
        with suppress(ValueError):
            assert ip_address(target.host) == target.address


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://example.test/", True),
        ("http://example.test/", False),
        ("https://example.test:8443/", False),
        ("https://10.0.0.1/", False),
        ("https://[64:ff9b::a00:1]/", False),
        ("http://10.0.0.1:81/", True),
        ("http://10.0.0.1:82/", False),
        ("https://inside.example.test:9/", True),
        ("https://inside.example.test/", False),
    ],
)
async def test_rules_admit_public_https_and_what_an_operator_lists(url: str, allowed: bool):
    async def resolve(host: str) -> list[str]:
        return ["10.0.0.1"] if host.startswith("inside") else ["2606:4700::1"]

    rules = EgressRules(allowed_hosts=("10.0.0.1:81", "inside.example.test:9"))
    client = GuardedClient(rules, timeout_s=5, user_agent="test", resolve=resolve)
    if allowed:
        await client.check(url)
    else:
        with pytest.raises(EgressError) as refused:
            await client.check(url)
        assert refused.value.reason is EgressReason.address_not_allowed
    await client.close()


async def test_a_closed_network_lets_everything_through_that_is_a_url():
    client = GuardedClient(EgressRules(private_networks=True), timeout_s=5, user_agent="test")
    await client.check("http://10.0.0.1:8080/")
    with pytest.raises(EgressError):
        await client.check("http://0xa.1/")
    await client.close()

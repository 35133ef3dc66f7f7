"""Reading an input from https URLs: real TLS servers on loopback, through the public API's own routes."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from services.ingest.clients.fetching import GuardedFetcher
from tests.support.servers import tls
from tests.support.servers.tls import HOST, Authority, Names, serving
from tests.unit.ingest.ingest_app import IngestApp, running
from winnow.contracts.errors import Refused
from winnow.egress.client import EgressRules


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@contextlib.asynccontextmanager
async def fetching(authority: Authority, *ports: int, timeout_s: float = 5.0, size_bytes_max: int = 1000):
    """A fetcher that is told that the names of the tests may lead to loopback on these ports."""
    hosts = tuple(f"{host}:{port}" for port in ports for host in (HOST, "other.example.test"))
    fetcher = GuardedFetcher(
        EgressRules(allowed_hosts=hosts),
        timeout_s=timeout_s,
        size_bytes_max=size_bytes_max,
        ca_file=authority.ca_file,
        resolve=Names(),
    )
    try:
        yield fetcher
    finally:
        await fetcher.close()


async def refused(fetcher: GuardedFetcher, url: str) -> dict:
    """Ask the API for an input by URL and return the problem that it answers."""
    world = IngestApp(fetcher=fetcher)
    async with running(world) as client:
        answer = await client.post("/v1/inputs", json={"url": url}, headers=await world.key())
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["pointer"] == "url"
    assert HOST not in answer.json()["detail"]
    return answer.json()


async def test_an_https_url_is_read_and_names_its_host_in_the_handshake(authority: Authority):
    async with serving(authority.good()) as server, fetching(authority, server.port) as fetcher:
        assert await fetcher.fetch(server.url("/a%2Fb?sig=%2F")) == b"picture"
        assert server.names == [HOST]
        head = server.requests[0].decode()
    assert head.startswith("GET /a%2Fb?sig=%2F HTTP/1.1\r\n")
    assert f"\r\nHost: {HOST}:{server.port}\r\n" in head


async def test_every_kind_of_bad_certificate_is_a_problem_that_names_it(authority: Authority):
    kinds = {
        "has expired": authority.expired(),
        "for another host name": authority.good("another.example.test"),
        "is self-signed": authority.self_signed(),
        "not signed by a trusted authority": authority.of_a_stranger(),
    }
    for words, context in kinds.items():
        async with serving(context) as server, fetching(authority, server.port) as fetcher:
            problem = await refused(fetcher, server.url())
            assert (problem["code"], server.requests) == ("url_tls_failed", [])
            assert words in problem["detail"]


async def test_without_the_authority_file_its_certificates_are_not_trusted(authority: Authority):
    async with serving(authority.good()) as server:
        fetcher = GuardedFetcher(
            EgressRules(allowed_hosts=(f"{HOST}:{server.port}",)),
            timeout_s=5.0,
            size_bytes_max=1000,
            resolve=Names(),
        )
        with pytest.raises(Refused, match="not signed by a trusted authority"):
            await fetcher.fetch(server.url())
        await fetcher.close()


async def test_a_server_that_does_not_speak_tls_is_named(authority: Authority):
    async with serving(None, tls.garbage) as server, fetching(authority, server.port, timeout_s=1) as fetcher:
        assert (await refused(fetcher, server.url()))["code"] in {"url_tls_failed", "url_not_reachable"}


@pytest.mark.parametrize(
    "answer", [tls.dripping, tls.never, None], ids=["drips", "answers nothing", "no hello"]
)
async def test_a_slow_server_ends_with_the_deadline(authority: Authority, answer: tls.Answer | None):
    slow = tls.silent() if answer is None else serving(authority.good(), answer)
    async with (
        slow as server,
        fetching(authority, server.port, timeout_s=0.5, size_bytes_max=10**7) as fetcher,
    ):
        problem = await refused(fetcher, server.url())
        assert (problem["code"], problem["detail"]) == (
            "url_not_reachable",
            "The URL's server does not answer in time.",
        )
        assert server.connections == 1 or answer is None


@pytest.mark.parametrize("answer", [tls.cut, tls.garbage], ids=["cut", "garbage"])
async def test_a_broken_answer_is_not_reachable(authority: Authority, answer: tls.Answer):
    async with serving(authority.good(), answer) as server, fetching(authority, server.port) as fetcher:
        assert (await refused(fetcher, server.url()))["code"] == "url_not_reachable"


@pytest.mark.parametrize(
    "to",
    [
        "https://10.0.0.1/", "https://127.0.0.1/", "https://[fec0::1]/", "https://[::ffff:0:10.0.0.1]/",
        "https://169.254.169.254/latest/meta-data", "https://inside.example.test/", "http://203.0.113.9/",
        "https://192.88.99.1/", "https://0x7f.1/", "https://a..b/", "file:///etc/passwd", "https://203.0.113.9:22/",
    ],
)  # fmt: skip
async def test_a_redirect_to_a_guarded_address_is_refused(authority: Authority, to: str):
    async with (
        serving(authority.good(), tls.redirecting(to)) as server,
        fetching(authority, server.port) as fetcher,
    ):
        assert (await refused(fetcher, server.url()))["code"] == "url_not_allowed"
        assert len(server.requests) == 1


async def test_a_redirect_to_the_same_port_of_loopback_by_address_is_refused(authority: Authority):
    async with serving(authority.good()) as inner:
        to = tls.redirecting(f"https://127.0.0.1:{inner.port}/")
        async with serving(authority.good(), to) as server, fetching(authority, server.port) as fetcher:
            assert (await refused(fetcher, server.url()))["code"] == "url_not_allowed"
        assert inner.connections == 0


async def test_redirects_are_followed_to_allowed_hosts_and_verified_anew(authority: Authority):
    async with serving(authority.good("other.example.test")) as last:
        good = tls.redirecting(last.url("/b", "other.example.test"))
        wrong = tls.redirecting(last.url("/b", HOST))
        for answer, end in ((good, b"picture"), (wrong, None)):
            async with (
                serving(authority.good(), answer) as first,
                fetching(authority, first.port, last.port) as fetcher,
            ):
                if end is not None:
                    assert await fetcher.fetch(first.url()) == end
                else:
                    assert (await refused(fetcher, first.url()))["code"] == "url_tls_failed"


async def test_a_circle_of_redirects_ends(authority: Authority):
    async with (
        serving(authority.good(), tls.redirecting("/again")) as server,
        fetching(authority, server.port) as fetcher,
    ):
        problem = await refused(fetcher, server.url())
        assert (problem["code"], len(server.requests)) == ("url_not_reachable", 4)


async def test_an_answer_beyond_the_limit_is_refused(authority: Authority):
    async with (
        serving(authority.good()) as server,
        fetching(authority, server.port, size_bytes_max=3) as fetcher,
    ):
        with pytest.raises(Refused) as error:
            await fetcher.fetch(server.url())
        assert error.value.code == "body_too_large"


async def test_a_name_with_one_private_address_among_public_addresses_is_refused(authority: Authority):
    async with serving(authority.good()) as server:
        fetcher = GuardedFetcher(
            EgressRules(ports=(443, server.port)),
            timeout_s=5.0,
            size_bytes_max=1000,
            ca_file=authority.ca_file,
            resolve=Names({HOST: ["2a00:1450::1", "127.0.0.1"]}),
        )
        with pytest.raises(Refused) as error:
            await fetcher.fetch(server.url())
        await fetcher.close()
        assert (error.value.code, server.connections) == ("url_not_allowed", 0)


async def test_whatever_the_transport_raises_is_a_refusal(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
):
    async def fail(*_: object, **__: object) -> None:
        raise AttributeError("'bytes' object has no attribute 'encode'")

    monkeypatch.setattr("aiohttp.TCPConnector.connect", fail)
    async with fetching(authority, 443) as fetcher:
        assert (await refused(fetcher, f"https://{HOST}/x"))["code"] == "url_not_reachable"


def test_a_file_without_a_certificate_is_refused_at_the_start(tmp_path: Path):
    file = tmp_path / "empty.pem"
    file.write_text("nothing\n")
    with pytest.raises(ValueError, match=r"empty\.pem holds no certificate"):
        GuardedFetcher(EgressRules(), timeout_s=1, size_bytes_max=1, ca_file=file)

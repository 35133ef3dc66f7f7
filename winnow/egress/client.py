"""An HTTP client for URLs that strangers name: it connects to public addresses only, and verifies certificates.

A name is resolved once for a connection, every address that it has must be public, and the socket is opened
to exactly those. The address is judged again when the socket is made, so that nothing a library does between
the two can change where it leads. Connections are not used again.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import urljoin

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from winnow.egress.addresses import refusal_of
from winnow.egress.target import EgressError, EgressReason, Target, read_target

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""Returns the addresses of a host name. Raises OSError for a name that has none."""

_CONNECT_TIMEOUT_S: Final = 5.0
_RESOLVE_TIMEOUT_S: Final = 5.0
_RESOLVE_THREADS: Final = 16
"""Names resolved at once: an abandoned look-up keeps its thread until the system's resolver gives up."""
_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})

_VERIFY_REASONS: Final[dict[int, tuple[EgressReason, str]]] = {
    10: (EgressReason.certificate_expired, "The certificate of the URL's server has expired."),
    18: (EgressReason.certificate_untrusted, "The certificate of the URL's server is self-signed."),
    62: (
        EgressReason.certificate_wrong_host,
        "The certificate of the URL's server is for another host name.",
    ),
    64: (EgressReason.certificate_wrong_host, "The certificate of the URL's server is for another address."),
}
"""By the verification's result code (OpenSSL, x509_vfy.h); any other is an untrusted certificate."""


@dataclass(frozen=True, slots=True)
class EgressRules:
    """Allowed targets of requests.

    ``ports`` are the ports of public https addresses; plain http is allowed on port 80 when
    ``plain_http`` says so. ``allowed_hosts`` are exact ``host:port`` pairs that are let through as they are,
    http and private addresses included. ``private_networks`` lets everything through, for a closed network.
    """

    ports: tuple[int, ...] = (443,)
    plain_http: bool = False
    allowed_hosts: tuple[str, ...] = ()
    private_networks: bool = False

    def trusts(self, target: Target) -> bool:
        """Return whether an operator let the target through as it is."""
        return self.private_networks or target.place in self.allowed_hosts

    def admit(self, target: Target) -> None:
        """Refuse a scheme, a port or a literal address. Raises EgressError (address_not_allowed)."""
        if self.trusts(target):
            return
        if target.scheme == "http" and not self.plain_http:
            raise _not_allowed("The URL must begin with https://.")
        if target.port not in (self.ports if target.scheme == "https" else (80,)):
            raise _not_allowed("The URL's port is not allowed.")
        if target.address is not None:
            _judge(str(target.address))


class GuardedClient:
    """Checks URLs and makes requests; one per process and purpose."""

    def __init__(
        self,
        rules: EgressRules,
        *,
        timeout_s: float,
        user_agent: str,
        ca_file: Path | None = None,
        resolve: Resolve | None = None,
    ) -> None:
        """Bound a whole request by ``timeout_s``; ``ca_file`` (PEM) is trusted beside the system's authorities.

        Raises ValueError when the file holds no certificate.
        """
        self._rules = rules
        self._timeout_s = timeout_s
        self._user_agent = user_agent
        self._tls = _tls_context(ca_file)
        self._threads = ThreadPoolExecutor(_RESOLVE_THREADS, "egress-resolve")
        self._resolve = resolve or self._system_resolve
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def check(self, url: str) -> None:
        """Refuse a URL that would not be connected to now. Raises EgressError."""
        target = self._target(url)
        if target.address is None:
            resolver = _Resolver(self._resolve, judged=not self._rules.trusts(target))
            with _translated():
                async with asyncio.timeout(self._timeout_s):
                    await resolver.resolve(target.host, target.port)

    @asynccontextmanager
    async def open(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        redirects_max: int = 0,
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """Yield the answer, its body still unread, and bound the whole block by the deadline.

        Up to ``redirects_max`` redirects are followed, each checked like the first URL; with 0 a redirect is
        the answer. Raises EgressError for what the other side does, inside the block too.
        """
        with _translated():
            async with asyncio.timeout(self._timeout_s):
                target = self._target(url)
                for left in range(redirects_max, -1, -1):
                    response = await self._session(target).request(
                        method, target.url, headers=headers, data=body, allow_redirects=False
                    )
                    async with response:
                        location = response.headers.get("location")
                        if not redirects_max or response.status not in _REDIRECTS or location is None:
                            yield response
                            return
                        if not left:
                            break
                        target = self._target(urljoin(str(target.url), location))
                raise EgressError(EgressReason.too_many_redirects, "The URL redirects too often.")

    async def close(self) -> None:
        """Close the connections."""
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _target(self, url: str) -> Target:
        target = read_target(url)
        self._rules.admit(target)
        return target

    def _session(self, target: Target) -> aiohttp.ClientSession:
        judged = not self._rules.trusts(target)
        session = self._sessions.get(judged)
        if session is None:
            connector = aiohttp.TCPConnector(
                resolver=_Resolver(self._resolve, judged=judged),
                socket_factory=_judged_socket if judged else None,
                ssl=self._tls,
                use_dns_cache=False,
                force_close=True,
                limit=0,
            )
            session = self._sessions[judged] = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"user-agent": self._user_agent},
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_TIMEOUT_S),
                auto_decompress=False,
                trust_env=False,
            )
        return session

    async def _system_resolve(self, host: str) -> list[str]:
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_RESOLVE_TIMEOUT_S):
            found = await loop.run_in_executor(
                self._threads, lambda: socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            )
        return [str(info[4][0]) for info in found]


class _Resolver(AbstractResolver):
    """Resolves a name once and refuses it when any of its addresses is not public."""

    def __init__(self, resolve: Resolve, *, judged: bool) -> None:
        """Judge the addresses unless an operator let the host through."""
        self._resolve = resolve
        self._judged = judged

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses. Raises EgressError (address_not_allowed, name_not_resolved)."""
        del family
        try:
            found = await self._resolve(host)
        except OSError:
            found = []
        if not found:
            raise EgressError(EgressReason.name_not_resolved, "The URL's host name does not resolve.")
        if self._judged:
            for address in found:
                _judge(address)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=socket.IPPROTO_TCP,
                flags=socket.AI_NUMERICHOST,
            )
            for address in found
        ]

    async def close(self) -> None:
        """Hold nothing."""


def _judged_socket(info: tuple[Any, Any, int, str, tuple[Any, ...]]) -> socket.socket:
    """Make the socket of a connection; the last wall, for a library that connects past the resolver."""
    family, kind, protocol, _, address = info
    if refusal_of(ip_address(address[0])) is not None:
        raise PermissionError("the address is not public")
    return socket.socket(family, kind, protocol)


def _judge(address: str) -> None:
    if refusal_of(ip_address(address)) is not None:
        raise _not_allowed("The URL leads to an address that is not public.")


def _not_allowed(detail: str) -> EgressError:
    return EgressError(EgressReason.address_not_allowed, detail)


def _tls_context(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file is not None:
        try:
            context.load_verify_locations(cafile=ca_file)
        except ssl.SSLError:
            raise ValueError(f"{ca_file.name} holds no certificate in PEM form") from None
    return context


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what the client library raises into EgressError; anything unforeseen passes unchanged."""
    try:
        yield
    except EgressError:
        raise
    except aiohttp.ClientConnectorCertificateError as error:
        raise _certificate_error(error.certificate_error) from None
    except (aiohttp.ClientSSLError, ssl.SSLError):
        raise EgressError(
            EgressReason.tls_failed, "The URL's server does not speak TLS as it must."
        ) from None
    except TimeoutError:
        raise EgressError(EgressReason.timed_out, "The URL's server does not answer in time.") from None
    except (aiohttp.ClientError, OSError):
        raise EgressError(EgressReason.not_reachable, "The URL's server does not answer.") from None


def _certificate_error(error: Exception) -> EgressError:
    code = error.verify_code if isinstance(error, ssl.SSLCertVerificationError) else 0
    untrusted = (
        EgressReason.certificate_untrusted,
        "The certificate of the URL's server is not signed by a trusted authority.",
    )
    return EgressError(*_VERIFY_REASONS.get(code, untrusted))

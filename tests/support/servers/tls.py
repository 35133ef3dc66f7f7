"""A TLS server on loopback that answers to order, an authority of its own, and names that only the tests know."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import trustme
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.servers.connections import listening

HOST = "pictures.example.test"
NAMES = {HOST: ["127.0.0.1"], "other.example.test": ["127.0.0.1"], "inside.example.test": ["10.1.2.3"]}

Answer = Callable[[asyncio.StreamWriter, bytes], Awaitable[None]]
"""Writes the answer to a request, whose head it is given."""


class Names:
    """A resolver that knows the names of the tests and asks nobody."""

    def __init__(self, names: dict[str, list[str]] | None = None) -> None:
        self.names = NAMES if names is None else names
        self.asked: list[str] = []

    async def __call__(self, host: str) -> Sequence[str]:
        self.asked.append(host)
        if host not in self.names:
            raise OSError(f"no such name: {host}")
        return self.names[host]


class Authority:
    """An authority of the tests, and another that nobody trusts."""

    def __init__(self, folder: Path) -> None:
        self._trusted, self._stranger = trustme.CA(), trustme.CA()
        self.ca_file = folder / "authority.pem"
        self._trusted.cert_pem.write_to_path(str(self.ca_file))
        self._folder = folder

    def good(self, host: str = HOST) -> ssl.SSLContext:
        return _context(self._trusted.issue_cert(host))

    def expired(self, host: str = HOST) -> ssl.SSLContext:
        ended = datetime.now(UTC) - timedelta(days=1)
        return _context(self._trusted.issue_cert(host, not_before=ended - timedelta(days=9), not_after=ended))

    def of_a_stranger(self, host: str = HOST) -> ssl.SSLContext:
        return _context(self._stranger.issue_cert(host))

    def self_signed(self, host: str = HOST) -> ssl.SSLContext:
        key, name, now = ec.generate_private_key(ec.SECP256R1()), _name(host), datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False)
            .sign(key, hashes.SHA256())
        )
        file = self._folder / "self-signed.pem"
        pem, plain = serialization.Encoding.PEM, serialization.NoEncryption()
        file.write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain) + certificate.public_bytes(pem)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        return context


@dataclass
class TlsServer:
    """Observations of the server."""

    port: int
    names: list[str | None] = field(default_factory=list)
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0

    def url(self, path: str = "/me.png", host: str = HOST) -> str:
        return f"https://{host}:{self.port}{path}"


async def ok(writer: asyncio.StreamWriter, _head: bytes) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\npicture")


def answering(body: bytes) -> Answer:
    async def answer(writer: asyncio.StreamWriter, _head: bytes) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)

    return answer


async def dripping(writer: asyncio.StreamWriter, _head: bytes) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
    while True:
        writer.write(b".")
        await writer.drain()
        await asyncio.sleep(0.02)


async def never(_writer: asyncio.StreamWriter, _head: bytes) -> None:
    await asyncio.Event().wait()


async def cut(writer: asyncio.StreamWriter, _head: bytes) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nonly this")


async def garbage(writer: asyncio.StreamWriter, _head: bytes) -> None:
    writer.write(b"\x00\xffnot http at all\r\n\r\n")


def redirecting(to: str) -> Answer:
    async def answer(writer: asyncio.StreamWriter, _head: bytes) -> None:
        writer.write(f"HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n".encode())

    return answer


@asynccontextmanager
async def serving(context: ssl.SSLContext | None, answer: Answer = ok) -> AsyncIterator[TlsServer]:
    """Serve on loopback with TLS, or in plain text without a context."""
    seen = TlsServer(0)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.connections += 1
        head = await reader.readuntil(b"\r\n\r\n")
        seen.requests.append(head)
        await answer(writer, head)
        await writer.drain()

    if context is not None:
        context.sni_callback = lambda _socket, name, _context: seen.names.append(name)
    async with listening(serve, context) as seen.port:
        yield seen


@asynccontextmanager
async def silent() -> AsyncIterator[TlsServer]:
    """Accept connections and never begin the TLS handshake."""
    async with serving(None, never) as seen:
        yield seen


def _context(issued: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued.configure_cert(context)
    return context


def _name(host: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])

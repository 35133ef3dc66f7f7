"""Signatures of requests and links: AWS Signature Version 4 for S3, with the key of the day kept.

**Source**: https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html and
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html. A property test compares every signature
with botocore's.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote

_ALGORITHM: Final = "AWS4-HMAC-SHA256"
_UNRESERVED: Final = "-_.~"
_NOTHING: Final = hashlib.sha256(b"").hexdigest()
_SECOND: Final = timedelta(seconds=1)
_BARE: Final = "host;x-amz-content-sha256;x-amz-date"
_TYPED: Final = "content-type;host;x-amz-content-sha256;x-amz-date"


class Signer:
    """Signs for one region and one pair of keys. Nothing here is ever logged: a signature is a right."""

    def __init__(
        self, host: str, region: str, access_key: str, secret_key: str, now: Callable[[], datetime]
    ) -> None:
        """Sign for ``host`` as the Host header has it; ``now`` is aware.

        Raises ValueError for keys that no header may have, such as those with the end of a line.
        """
        if not _is_graphic(access_key + region):
            raise ValueError("the access key or the region has characters that no header may have")
        self._host = host
        self._region = region
        self._access_key = access_key
        self._secret = f"AWS4{secret_key}".encode()
        self._now = now
        self._from = self._until = datetime.min.replace(tzinfo=UTC)
        self._day = self._stamp = self._scope = self._preamble = ""
        self._key = hmac.new(b"", digestmod="sha256")

    def head(self, method: str, path: str, body: bytes, content_type: str = "") -> bytes:
        """Return the signed head of a request; ``path`` is encoded, and only a body has a content type.

        Raises ValueError for a content type that is no printable ASCII.
        """
        self._tick()
        digest = hashlib.sha256(body).hexdigest() if body else _NOTHING
        names = _BARE
        # The header lines are the canonical lines: lower case, sorted, and without spaces.
        lines = f"host:{self._host}\nx-amz-content-sha256:{digest}\nx-amz-date:{self._stamp}\n"
        if content_type:
            if not (content_type.isascii() and content_type.isprintable()):
                raise ValueError("the content type has characters that no header may have")
            names = _TYPED
            lines = f"content-type:{' '.join(content_type.split())}\n{lines}"
        signature = self._signature(f"{method}\n{path}\n\n{lines}\n{names}\n{digest}")
        length = f"content-length:{len(body)}\n" if method == "PUT" else ""
        head = (
            f"{method} {path} HTTP/1.1\n{lines}{length}authorization:{_ALGORITHM} "
            f"Credential={self._access_key}/{self._scope}, SignedHeaders={names}, Signature={signature}\n\n"
        )
        return head.replace("\n", "\r\n").encode()

    def link(self, path: str, answer_headers: str, expires_in_s: int) -> str:
        """Return path and query of a link that reads an object and ends after ``expires_in_s``.

        ``answer_headers`` are query parameters such as ``response-content-type``, sorted and encoded.
        """
        self._tick()
        credential = quote(f"{self._access_key}/{self._scope}", safe=_UNRESERVED)
        terms = (
            f"X-Amz-Algorithm={_ALGORITHM}&X-Amz-Credential={credential}&X-Amz-Date={self._stamp}"
            f"&X-Amz-Expires={expires_in_s}&X-Amz-SignedHeaders=host"
        )
        # What is signed is sorted, and capitals sort first.
        canonical = f"GET\n{path}\n{terms}&{answer_headers}\nhost:{self._host}\n\nhost\nUNSIGNED-PAYLOAD"
        return f"{path}?{answer_headers}&{terms}&X-Amz-Signature={self._signature(canonical)}"

    def _signature(self, canonical: str) -> str:
        # A copy of the keyed hash costs less than a hash with the key.
        keyed = self._key.copy()
        keyed.update((self._preamble + hashlib.sha256(canonical.encode()).hexdigest()).encode())
        return keyed.hexdigest()

    def _tick(self) -> None:
        """Renew what depends on the second, and the key when the day has changed."""
        now = self._now()
        if self._from <= now < self._until:
            return
        self._from = now.astimezone(UTC).replace(microsecond=0)
        self._until = self._from + _SECOND
        self._stamp = self._from.strftime("%Y%m%dT%H%M%SZ")
        if self._day != self._stamp[:8]:
            self._day = self._stamp[:8]
            key = self._secret
            for part in (self._day, self._region, "s3", "aws4_request"):
                key = hmac.digest(key, part.encode(), "sha256")
            self._key = hmac.new(key, digestmod="sha256")
            self._scope = f"{self._day}/{self._region}/s3/aws4_request"
        self._preamble = f"{_ALGORITHM}\n{self._stamp}\n{self._scope}\n"


def _is_graphic(text: str) -> bool:
    return text.isascii() and text.isprintable() and " " not in text


def encoded_path(bucket: str, key: str) -> str:
    """Return where an object, or without a key the bucket, lies below the endpoint; no part is normalised."""
    return f"/{quote(bucket, safe=_UNRESERVED)}" + (f"/{quote(key, safe='/' + _UNRESERVED)}" if key else "")


def encoded_query(parameters: dict[str, str]) -> str:
    """Return parameters as a URL has them; their names need no encoding."""
    return "&".join(f"{name}={quote(value, safe=_UNRESERVED)}" for name, value in parameters.items())

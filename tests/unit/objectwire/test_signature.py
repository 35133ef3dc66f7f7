"""Signatures against botocore's own, for whatever may be signed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from unittest.mock import patch

import boto3
import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.client import Config
from botocore.credentials import Credentials
from hypothesis import example, given
from hypothesis import strategies as st

from winnow.objectwire.pool import Endpoint
from winnow.objectwire.signature import Signer, encoded_path, encoded_query
from winnow.objectwire.wire import ObjectWire

KEYS = st.text(min_size=1, max_size=60).filter(lambda key: not any("\ud800" <= c <= "\udfff" for c in key))
GRAPHIC = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)
SECRETS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
TYPES = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40).filter(
    lambda text: not text or text.strip()
)
TIMES = st.integers(86_400, 253_402_100_000).map(lambda second: datetime.fromtimestamp(second, UTC))
ENDPOINTS = st.sampled_from(
    [
        "http://127.0.0.1:9000",
        "https://store.example.test",
        "http://store:80",
        "https://store:80/",
        "https://[::1]:9000/some/prefix",
    ]
)
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def headers_of(head: bytes) -> dict[str, str]:
    first, *lines = head.decode().removesuffix("\r\n\r\n").split("\r\n")
    assert first.endswith(" HTTP/1.1")
    return {name: value for name, _, value in (line.partition(":") for line in lines)}


def signed_by_botocore(
    method: str, url: str, body: bytes, content_type: str, region: str, keys: tuple[str, str], at: datetime
) -> dict[str, str]:
    headers = {"Content-Type": content_type} if content_type else {}
    request = AWSRequest(method, url, headers=headers, data=body)
    with patch("botocore.auth.get_current_datetime", lambda: at.replace(tzinfo=None)):
        S3SigV4Auth(Credentials(*keys), "s3", region).add_auth(request)
    return {name.lower(): value for name, value in request.headers.items()}


@given(
    st.sampled_from(["GET", "HEAD", "PUT"]),
    ENDPOINTS,
    KEYS,
    st.binary(max_size=200),
    TYPES,
    GRAPHIC,
    GRAPHIC,
    SECRETS,
    TIMES,
)
@example(
    "PUT", "http://store:80", "a b//../ü+~'%2F?#", b"", "text/plain;  charset=x ", "r", "a/b", "+/=", NOON
)
def test_a_request_has_the_signature_that_botocore_gives_it(
    method: str,
    endpoint: str,
    key: str,
    body: bytes,
    content_type: str,
    region: str,
    access_key: str,
    secret_key: str,
    at: datetime,
) -> None:
    if method != "PUT":
        body, content_type = b"", ""
    at_endpoint = Endpoint.parse(endpoint)
    path = at_endpoint.path + encoded_path("bucket", key)
    signer = Signer(at_endpoint.host_header, region, access_key, secret_key, lambda: at)
    signed = headers_of(signer.head(method, path, body, content_type))
    theirs = signed_by_botocore(
        method, at_endpoint.origin + path, body, content_type, region, (access_key, secret_key), at
    )
    for name in ("authorization", "x-amz-date", "x-amz-content-sha256"):
        assert signed[name] == theirs[name]
    assert signed["host"] == at_endpoint.host_header
    assert signed.get("content-type", "") == " ".join(content_type.split())
    assert signed.get("content-length") == (str(len(body)) if method == "PUT" else None)


def boto3_client(endpoint: str) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="eu-north-1",
        aws_access_key_id="AKIA/EXAMPLE+",
        aws_secret_access_key="secret",
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}),
    )


CLIENTS = {
    endpoint: boto3_client(endpoint)
    for endpoint in ("http://127.0.0.1:9000", "https://store.example.test/prefix")
}


@given(
    st.sampled_from(sorted(CLIENTS)),
    KEYS.filter(lambda key: key != "/"),
    st.integers(1, 604_800),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
    TYPES,
    TIMES,
)
def test_a_link_is_the_one_that_boto3_makes_letter_for_letter(
    endpoint: str, key: str, expires_in_s: int, filename: str, content_type: str, at: datetime
) -> None:
    parameters = {
        "Bucket": "bucket",
        "Key": key,
        "ResponseContentDisposition": f'attachment; filename="{filename}"',
        "ResponseContentType": content_type,
    }
    with patch("botocore.auth.get_current_datetime", lambda: at.replace(tzinfo=None)):
        theirs = CLIENTS[endpoint].generate_presigned_url(
            "get_object", Params=parameters, ExpiresIn=expires_in_s
        )
    wire = ObjectWire(endpoint, "eu-north-1", "AKIA/EXAMPLE+", "secret", now=lambda: at)
    ours = wire.link("bucket", key, expires_in_s=expires_in_s, filename=filename, content_type=content_type)
    assert ours == theirs


def test_what_is_kept_is_renewed_with_the_second_and_with_the_day() -> None:
    at = datetime(2026, 12, 31, 23, 59, 58, 900_000, tzinfo=UTC)
    times = [at + timedelta(seconds=step / 4) for step in range(12)]
    # A clock that is set back counts too.
    times += [at - timedelta(days=1), at]
    now = iter(times)
    signer = Signer("store", "us-east-1", "access", "secret", lambda: next(now))
    for moment in times:
        ours = headers_of(signer.head("GET", "/bucket/key", b""))
        theirs = signed_by_botocore(
            "GET", "http://store/bucket/key", b"", "", "us-east-1", ("access", "secret"), moment
        )
        assert (ours["x-amz-date"], ours["authorization"]) == (theirs["x-amz-date"], theirs["authorization"])


def test_a_clock_of_another_zone_signs_the_same() -> None:
    there = NOON.astimezone(timezone(timedelta(hours=14)))
    here, elsewhere = (
        Signer("store", "r", "a", "s", lambda: NOON),
        Signer("store", "r", "a", "s", lambda: there),
    )
    assert here.head("GET", "/b/k", b"") == elsewhere.head("GET", "/b/k", b"")


@pytest.mark.parametrize("content_type", ["image/jpeg\r\nx-evil: 1", "image/jpeg\n", "bild/größe", "a\tb"])
def test_a_content_type_that_no_header_may_have_is_refused(content_type: str) -> None:
    with pytest.raises(ValueError, match="no header may have"):
        Signer("store", "r", "a", "s", lambda: NOON).head("PUT", "/b/k", b"x", content_type)


@pytest.mark.parametrize(
    ("endpoint", "access_key"),
    [
        ("store:9000", "access"),
        ("ftp://store", "access"),
        ("http://", "access"),
        ("http://store?x=1", "access"),
        ("http://störe", "access"),
        ("http://store/a b", "access"),
        ("http://store:99999", "access"),
        ("http://store", "access\n"),
        ("http://store", "äccess"),
    ],
)
def test_an_endpoint_or_a_key_that_cannot_be_used_is_said_at_once(endpoint: str, access_key: str) -> None:
    with pytest.raises(ValueError, match=r".") as raised:
        ObjectWire(endpoint, "us-east-1", access_key, "secret")
    assert "secret" not in str(raised.value)


def test_a_query_is_encoded_to_the_letter() -> None:
    assert encoded_query({"a": "x y/ü&=~"}) == "a=x%20y%2F%C3%BC%26%3D~"

"""Settings that every service has; each service adds its own in one frozen class."""

from __future__ import annotations

import os
from ipaddress import IPv4Network, IPv6Network
from typing import Annotated, Self

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

Port = Annotated[int, Field(ge=0, le=65535)]


class SettingsError(Exception):
    """A setting is missing, unknown or out of bounds; the text names it and never its value."""


class CheckedSettings(BaseSettings):
    """Read from the environment; subclasses set the prefix ``WINNOW_<NAME>_``. Secrets have no default."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @classmethod
    def load(cls) -> Self:
        """Read and check; raises SettingsError with one sentence per fault."""
        prefix = str(cls.model_config.get("env_prefix", ""))
        known = {f"{prefix}{name}".upper() for name in cls.model_fields}
        given = {name for name in os.environ if prefix and name.startswith(prefix)}
        if unknown := sorted(given - known):
            msg = f"unknown setting: {', '.join(unknown)}"
            raise SettingsError(msg)
        try:
            return cls()
        except ValidationError as error:
            lines = [
                f"{prefix}{'_'.join(map(str, detail['loc']))}".upper() + f": {detail['msg']}"
                for detail in error.errors()
            ]
            raise SettingsError("; ".join(lines)) from None

    def masked(self) -> dict[str, str]:
        """Return every setting as text, secrets hidden, for the line printed at start."""
        return {name: str(value) for name, value in self.model_dump().items()}


class ServiceSettings(CheckedSettings):
    """Settings that every service has."""

    host: str = Field("127.0.0.1", description="Address that every listener binds.")
    instance: str = Field("local", description="Name of this replica, stable over restarts.")
    ops_port: Port = Field(0, description="Port of /livez, /readyz and /metrics; 0 chooses a free one.")
    http_header_timeout_s: Annotated[float, Field(ge=0.1, le=300)] = Field(
        10.0, description="A connection whose request header is not complete in this time is closed."
    )
    http_body_timeout_s: Annotated[float, Field(ge=0.1, le=3600)] = Field(
        60.0, description="A connection whose request body is not complete in this time is closed."
    )
    http_keep_alive_timeout_s: Annotated[float, Field(ge=0.1, le=600)] = Field(
        5.0, description="A connection on which nothing is asked for this long is closed."
    )
    http_unread_timeout_s: Annotated[float, Field(ge=0.1, le=3600)] = Field(
        30.0,
        description="A connection whose client takes none of the bytes that wait for it this long is cut.",
    )
    http_connections_max: Annotated[int, Field(ge=1, le=100_000)] = Field(
        800, description="Connections of one HTTP port at once; further ones are answered with 503."
    )
    http_trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = Field(
        (), description="CIDRs of proxies whose X-Forwarded-For is believed, as a JSON list."
    )
    grpc_port: Port = Field(0, description="Port of the gRPC server; 0 chooses a free one.")
    kafka_bootstrap: str = Field(description="Kafka bootstrap servers, host:port, comma separated.")
    idempotent_producer: bool = Field(default=True, description="Off only for a broker that refuses it.")
    fetch_max_wait_ms: Annotated[int, Field(ge=1, le=5000)] = Field(
        500, description="Longest wait of a fetch; 20 for a broker that polls."
    )
    fetch_rest_ms: Annotated[int, Field(ge=0, le=5000)] = Field(0, description="Rest between polls; 0: none.")
    session_timeout_ms: Annotated[int, Field(ge=1000, le=300_000)] = Field(
        30_000,
        description="A consumer that is silent for this long loses its partitions; 6000 on the embedded stack.",
    )
    batch_records_max: Annotated[int, Field(ge=1, le=5000)] = Field(500, description="Records in one batch.")
    shards: Annotated[int, Field(ge=1, le=1024)] = Field(
        16, description="Partitions of every topic; fixed when a deployment is created."
    )
    mongo_uri: SecretStr = Field(description="MongoDB connection string.")
    mongo_database: str = Field("", description="Database; empty for winnow_<service>.")
    s3_endpoint: str = Field(description="Object store, as a URL.")
    s3_region: str = Field("us-east-1", description="Region that links are signed for.")
    s3_access_key: SecretStr = Field(description="Access key of the object store.")
    s3_secret_key: SecretStr = Field(description="Secret key of the object store.")
    private_bucket: str = Field("winnow-private", description="Inputs and candidates; never linked.")
    outputs_bucket: str = Field("winnow-outputs", description="Outputs and thumbnails; presigned links only.")
    drain_timeout_s: Annotated[float, Field(ge=1, le=600)] = Field(
        20.0, description="Longest drain at SIGTERM."
    )
    log_level: Annotated[str, Field(pattern="^(debug|info|warning|error)$")] = Field(
        "info", description="Log level."
    )

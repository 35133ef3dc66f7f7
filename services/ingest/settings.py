"""Settings of ingest."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, FilePath, SecretStr
from pydantic_settings import SettingsConfigDict

from services.ingest.domain.orders import DEADLINE_SLACK_S
from winnow.runtime.settings import Port, ServiceSettings


class IngestSettings(ServiceSettings):
    """Read from ``WINNOW_INGEST_*``."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, env_prefix="WINNOW_INGEST_"
    )

    http_port: Port = Field(0, description="Port of the public API; 0 chooses a free one.")
    key_pepper: Annotated[SecretStr, Field(min_length=16)] = Field(
        description="Secret that the proofs of API keys are made with; changing it voids every key."
    )
    admin_token: Annotated[SecretStr, Field(min_length=16)] | None = Field(
        None, description="Token of the bootstrap administrator; unset for none."
    )
    ledger_address: str = Field("127.0.0.1:7102", description="gRPC address of the ledger, host:port.")
    router_address: str = Field("127.0.0.1:7103", description="gRPC address of the router, host:port.")
    scorer_address: str = Field("127.0.0.1:7104", description="gRPC address of the scorer, host:port.")
    delivery_address: str = Field("127.0.0.1:7105", description="gRPC address of delivery, host:port.")
    grpc_timeout_s: Annotated[float, Field(gt=0, le=60)] = Field(5.0, description="Deadline of a gRPC call.")
    screen_timeout_s: Annotated[float, Field(gt=0, le=120)] = Field(
        20.0, description="Deadline of the screening of an input."
    )
    quote_lifetime_s: Annotated[float, Field(ge=0, le=60)] = Field(
        2.0, description="How long a price or a cost quote is used again."
    )
    rate_per_second: Annotated[float, Field(gt=0, le=100_000)] = Field(
        200.0, description="Requests a key may make per second in the long run."
    )
    rate_burst_count: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        400, description="Requests a key may make at once."
    )
    failed_proofs_per_second: Annotated[float, Field(gt=0, le=1000)] = Field(
        5.0, description="Requests without a valid key that an address may make per second."
    )
    failed_proofs_burst_count: Annotated[int, Field(ge=1, le=10_000)] = Field(
        50, description="Requests without a valid key that an address may make at once."
    )
    url_timeout_s: Annotated[float, Field(gt=0, le=60)] = Field(
        15.0, description="Total deadline of reading an input from a URL."
    )
    url_plain_http_allowed: bool = Field(default=False, description="Read inputs from http:// URLs too.")
    deadline_slack_s: Annotated[int, Field(ge=10, le=1800)] = Field(
        DEADLINE_SLACK_S,
        description="A task ends at most this long after its deadline; half of it is for finishing outputs.",
    )
    url_allowed_hosts: tuple[str, ...] = Field(
        (), description="host:port pairs read from as they are, http and private included, as a JSON list."
    )
    url_ca_file: FilePath | None = Field(
        None, description="PEM file of authorities trusted beside the system's when a URL is read."
    )
    templates_folder: str = Field(
        "",
        description="Folder with the templates (*.yaml) in place of the bundled ones; the same for router and ledger.",
    )
    credit_value_usd_micro: Annotated[int, Field(ge=0, le=10**12)] = Field(
        1_000_000, description="What a credit is worth, in micro-USD, for the operator's margin."
    )

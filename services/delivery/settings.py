"""The settings of delivery."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, FilePath, SecretStr
from pydantic_settings import SettingsConfigDict

from services.delivery.domain.schedule import SCHEDULE_S
from winnow.runtime.settings import ServiceSettings


class DeliverySettings(ServiceSettings):
    """Read from ``WINNOW_DELIVERY_*``."""

    model_config = SettingsConfigDict(env_prefix="WINNOW_DELIVERY_")

    secret_key: Annotated[SecretStr, Field(min_length=32)] = Field(
        description="Root of object names and webhook secrets, 32 characters or more; never change it."
    )
    links_endpoint: str = Field(
        "", description="Object store as clients reach it, as a URL; empty for s3_endpoint."
    )
    retention_s: Annotated[int, Field(ge=60, le=3650 * 86_400)] = Field(
        30 * 86_400, description="Outputs are deleted this long after they were stored."
    )
    sweep_every_s: Annotated[float, Field(ge=1, le=86_400)] = Field(
        300.0, description="Pause between sweeps."
    )
    finish_threads: Annotated[int, Field(ge=1, le=64)] = Field(2, description="Images finished at once.")
    finish_at_once_max: Annotated[int, Field(ge=1, le=256)] = Field(
        8, description="Candidates held in memory at once."
    )
    finish_within_s: Annotated[float, Field(ge=1, le=3600)] = Field(
        120.0, description="A candidate that is not finished in this time is missing from the delivery."
    )
    finish_deadline_s: Annotated[int, Field(ge=10, le=86_400)] = Field(
        3600,
        description="A task that is still not finished after this time fails, or earlier by its own deadline.",
    )
    candidate_bytes_max: Annotated[int, Field(ge=1024, le=1 << 30)] = Field(
        64 << 20, description="Largest candidate that is read."
    )
    image_pixels_max: Annotated[int, Field(ge=4096, le=200_000_000)] = Field(
        40_000_000, description="Largest image that is decoded, width times height."
    )
    thumbnail_px: Annotated[int, Field(ge=16, le=1024)] = Field(
        256, description="Longest side of a thumbnail."
    )
    endpoints_max: Annotated[int, Field(ge=1, le=1000)] = Field(
        20, description="Webhook endpoints per account."
    )
    webhook_schedule_s: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] = Field(
        SCHEDULE_S, description="Seconds before each attempt, after the one before it, as a JSON list."
    )
    webhook_timeout_s: Annotated[float, Field(ge=0.1, le=60)] = Field(
        15.0, description="Longest time of one attempt, all of it."
    )
    webhooks_at_once_max: Annotated[int, Field(ge=1, le=2000)] = Field(64, description="Attempts at once.")
    webhooks_per_endpoint_max: Annotated[int, Field(ge=1, le=200)] = Field(
        4, description="Attempts at once to one endpoint."
    )
    webhook_ports: tuple[Annotated[int, Field(ge=1, le=65535)], ...] = Field(
        (443,), description="Ports of public https endpoints, as a JSON list."
    )
    webhook_allowed_hosts: tuple[str, ...] = Field(
        (), description="host:port pairs let through as they are, http and private included, as a JSON list."
    )
    webhook_ca_file: FilePath | None = Field(
        None, description="PEM file of authorities trusted beside the system's when a webhook is sent."
    )
    webhook_allow_private_networks: bool = Field(
        default=False, description="Let every address through; only for a closed network."
    )

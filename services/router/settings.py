"""Settings of the router."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from winnow.runtime.settings import ServiceSettings


class RouterSettings(ServiceSettings):
    """``WINNOW_ROUTER_*``. A provider without a key is not used."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, env_prefix="WINNOW_ROUTER_"
    )

    fal_base_url: str = Field("https://queue.fal.run", description="Address of fal's queue.")
    fal_key: SecretStr | None = Field(None, description="Key for fal; none: fal is not used.")
    replicate_base_url: str = Field(
        "https://api.replicate.com", description="Address of Replicate, without /v1."
    )
    replicate_key: SecretStr | None = Field(
        None, description="Token for Replicate; none: Replicate is not used."
    )
    openai_base_url: str = Field("https://api.openai.com/v1", description="Address of OpenAI, with /v1.")
    openai_key: SecretStr | None = Field(None, description="Key for OpenAI; none: OpenAI is not used.")
    catalogue: Literal["providers", "simulated"] = Field(
        "providers", description="Which bundled offerings are used: the providers' or the simulators'."
    )
    catalogue_folder: str = Field(
        "", description="Folder with an offerings.yaml in place of the bundled ones."
    )
    templates_folder: str = Field(
        "",
        description="Folder with the templates (*.yaml) in place of the bundled ones; the same for ingest and ledger.",
    )
    attempts_max: Annotated[int, Field(ge=1, le=10_000)] = Field(
        64, description="Attempts in flight at once in this process."
    )

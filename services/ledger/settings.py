"""Settings of the ledger."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from winnow.runtime.settings import ServiceSettings


class LedgerSettings(ServiceSettings):
    """Read from ``WINNOW_LEDGER_*``."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, env_prefix="WINNOW_LEDGER_"
    )

    prices_folder: str = Field(
        "", description="Folder with price lists (*.yaml); empty for the bundled ones."
    )
    templates_folder: str = Field(
        "",
        description="Folder with the templates (*.yaml) in place of the bundled ones; the same for ingest and router.",
    )

"""The settings of the scorer."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from winnow.runtime.settings import ServiceSettings


class ScorerSettings(ServiceSettings):
    """Read from ``WINNOW_SCORER_*``."""

    model_config = SettingsConfigDict(
        env_prefix="WINNOW_SCORER_", frozen=True, extra="forbid", hide_input_in_errors=True
    )

    mongo_uri: SecretStr = Field(SecretStr(""), description="Not used: the scorer keeps no state.")
    batch_records_max: Annotated[int, Field(ge=1, le=5000)] = Field(32, description="Chunks in one batch.")
    processes: Annotated[int, Field(ge=0, le=256)] = Field(
        0, description="Scoring processes of one thread each; 0 for one per usable core."
    )
    process_memory_max_bytes: Annotated[int, Field(ge=1_073_741_824)] = Field(
        4_294_967_296, description="Address space of a scoring process."
    )
    picture_timeout_s: Annotated[float, Field(gt=0, le=300)] = Field(
        20.0, description="Longest time for one picture; the process that exceeds it is ended."
    )
    profiles_dir: str = Field("", description="Directory of quality profiles; empty for the built-in ones.")
    mounted_models_dir: str = Field(
        "", description="Directory of an operator's own towers and heads with their manifest; empty for none."
    )
    models_dir: str = Field(
        "", description="Directory of model weights with their manifest; empty for what `make models` built."
    )

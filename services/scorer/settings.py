"""The settings of the scorer."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from services.scorer.inference.device_protocol import Device, DeviceConfiguration
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
    device: Device = Field(
        Device.cpu,
        description="Where networks run: `cpu` (in every scoring process), `cuda` or `tensorrt` (batched in one process"
        " that owns the device; the start fails where it cannot be had), `auto` (the first of TensorRT and CUDA that"
        " works, else `cpu`), `batched_cpu` (the path of a device, on the CPU: for tests).",
    )
    device_batch_rows_max: Annotated[int, Field(ge=1, le=256)] = Field(
        32, description="Pictures that a network on the device takes at once."
    )
    device_batch_wait_s: Annotated[float, Field(ge=0, le=1)] = Field(
        0.005, description="Longest wait of a request for others to share its batch."
    )
    device_warm_up_sizes: Annotated[str, Field(pattern=r"^([1-9]\d{1,4}x[1-9]\d{1,4}(,|$))*$")] = Field(
        "1024x1024",
        description="Sizes of pictures (width x height) whose measures are warmed up before ready.",
    )
    device_takes_measures: bool = Field(
        True, description="Whether the tier-1 measures of whole frames run on the device too."
    )
    device_cache_dir: str = Field(
        "", description="Directory that keeps TensorRT's engines between starts; empty to build them at each."
    )

    def device_order(self) -> DeviceConfiguration:
        """Return what the device's process is told."""
        sizes = [size.split("x") for size in self.device_warm_up_sizes.split(",") if size]
        return DeviceConfiguration(
            device=self.device,
            models_dir=self.models_dir,
            mounted_models_dir=self.mounted_models_dir,
            batch_rows_max=self.device_batch_rows_max,
            batch_wait_s=self.device_batch_wait_s,
            cache_dir=self.device_cache_dir,
            takes_measures=self.device_takes_measures,
            warm_up_sizes=tuple((int(height), int(width)) for width, height in sizes),
        )

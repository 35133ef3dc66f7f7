"""Settings of the supervision of the embedded line."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from winnow.local.restarts import RestartPolicy
from winnow.local.supervisor import Care
from winnow.runtime.settings import CheckedSettings


class LocalSettings(CheckedSettings):
    """Read from ``WINNOW_LOCAL_*``; ``load`` raises SettingsError."""

    model_config = SettingsConfigDict(env_prefix="WINNOW_LOCAL_")

    no_progress_s: Annotated[float, Field(gt=0, le=3600)] = Field(
        60.0,
        description="A starting process is given up when neither its log nor its CPU time nor its answer moves"
        " for this long.",
    )
    failures_max: Annotated[int, Field(ge=1, le=100)] = Field(
        6, description="Failures in a row at which a process is given up; 1 for no restart."
    )
    first_wait_s: Annotated[float, Field(gt=0, le=60)] = Field(
        0.5, description="Wait before the first restart; each further failure in a row doubles it."
    )
    wait_max_s: Annotated[float, Field(gt=0, le=600)] = Field(
        15.0, description="Longest wait before a restart."
    )
    healthy_s: Annotated[float, Field(gt=0, le=3600)] = Field(
        60.0, description="A process that was ready for this long begins a new row of failures."
    )

    def care(self) -> Care:
        """Return the settings as the supervisor takes them."""
        policy = RestartPolicy(
            first_wait_s=self.first_wait_s,
            wait_max_s=self.wait_max_s,
            healthy_s=self.healthy_s,
            failures_max=self.failures_max,
        )
        return Care(policy, self.no_progress_s)

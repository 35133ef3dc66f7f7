"""Behaviour of a simulated provider: its own (the profile), and what a test can make it do (the controls)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

import yaml
from pydantic import BaseModel, ConfigDict, Field

from simulators.defects import Defect

ProviderName: TypeAlias = Literal["fal", "replicate", "openai"]
Rate: TypeAlias = Annotated[float, Field(ge=0, le=1)]
Seconds: TypeAlias = Annotated[float, Field(ge=0, le=3600)]
Count: TypeAlias = Annotated[int, Field(ge=0, le=1_000_000)]
PriceUsdMicro: TypeAlias = Annotated[int, Field(ge=0, le=1_000_000_000, strict=True)]

_PROFILES: Final = Path(__file__).parent / "profiles"


class ProfileUnknownError(ValueError):
    """No profile has this name and no file lies at this path."""


class ProviderProfile(BaseModel):
    """A provider's character. Rates are probabilities per generation request, drawn from the seed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    provider: ProviderName
    price_usd_micro: PriceUsdMicro = Field(description="price of one picture")
    latency_median_s: Seconds = Field(default=0, description="median of the log-normal running time")
    latency_sigma: Annotated[float, Field(ge=0, le=3)] = Field(default=0, description="its shape")
    concurrency: Annotated[int, Field(ge=1, le=4096)] = Field(
        default=8, description="runs at once; more wait"
    )
    defect_rate: Rate = Field(default=0, description="per picture")
    too_many_rate: Rate = Field(default=0, description="refused with 429 and Retry-After")
    retry_after_s: Seconds = Field(default=1, description="what Retry-After says")
    error_rate: Rate = Field(default=0, description="refused with a server error")
    lost_reply_rate: Rate = Field(
        default=0, description="accepted and billed, but the connection drops unanswered"
    )
    hang_rate: Rate = Field(default=0, description="neither accepted nor answered")
    filtered_rate: Rate = Field(default=0, description="refused by the content filter")
    outage_windows_s: tuple[tuple[Seconds, Seconds], ...] = Field(
        default=(), description="from and until, in seconds since the start, when every call fails"
    )
    result_ttl_s: Seconds = Field(default=3600, description="how long a picture's link works")
    pool_size: Count = Field(
        default=0, description="pictures made at start and served in turn; 0 makes each afresh"
    )
    pool_side_px: Annotated[int, Field(ge=64, le=2048)] = Field(
        default=1024, description="side of the pool's square pictures"
    )
    files_kept: Count = Field(default=600, description="pictures held for download, newest first")
    truth_kept: Count = Field(default=20_000, description="truth and ledger lines held, newest first")


class Control(BaseModel):
    """A change to a running provider; what is left out stays as it is.

    ``*_next`` counts generation requests, starting with the next one. ``forced_defects`` holds for the
    next pictures, one entry each; null is a good picture. ``latency_s`` replaces the drawn latency.
    """

    model_config = ConfigDict(extra="forbid")

    outage: bool | None = None
    outage_scope: Literal["submit", "all"] | None = Field(default=None, description="which calls fail")
    defect_rate: Rate | None = None
    forced_defects: list[Defect | None] | None = None
    latency_s: Seconds | None = None
    lost_reply_next: Count | None = None
    too_many_next: Count | None = None
    error_next: Count | None = None
    error_status: Literal[500, 502, 503, 504] | None = None
    hang_next: Count | None = None
    filtered_next: Count | None = None
    failed_next: Count | None = Field(default=None, description="accepted, run and then reported as failed")
    stuck_next: Count | None = Field(default=None, description="accepted and never started")
    empty_next: Count | None = Field(default=None, description="succeeded without any picture")
    retry_after_s: Seconds | None = None
    retry_after_form: Literal["seconds", "date", "none"] | None = None
    price_usd_micro: PriceUsdMicro | None = None
    result_ttl_s: Seconds | None = None
    links_expired: bool | None = Field(default=None, description="every picture's link answers 404")
    status_word: str | None = Field(
        default=None,
        max_length=40,
        description="what a running generation is called instead; empty for normal",
    )
    webhook_fault: Literal["none", "missing", "duplicate", "bad_signature", "old_timestamp"] | None = None


class Controls(BaseModel):
    """The state the control calls have left the provider in."""

    outage: bool = False
    outage_scope: Literal["submit", "all"] = "all"
    defect_rate: Rate
    forced_defects: list[Defect | None] = []
    latency_s: Seconds | None = None
    lost_reply_next: Count = 0
    too_many_next: Count = 0
    error_next: Count = 0
    error_status: int = 503
    hang_next: Count = 0
    filtered_next: Count = 0
    failed_next: Count = 0
    stuck_next: Count = 0
    empty_next: Count = 0
    retry_after_s: Seconds
    retry_after_form: Literal["seconds", "date", "none"] = "seconds"
    price_usd_micro: PriceUsdMicro
    result_ttl_s: Seconds
    links_expired: bool = False
    status_word: str = ""
    webhook_fault: Literal["none", "missing", "duplicate", "bad_signature", "old_timestamp"] = "none"

    @classmethod
    def at_start(cls, profile: ProviderProfile) -> Controls:
        """Take the positions the profile gives."""
        return cls(
            defect_rate=profile.defect_rate,
            retry_after_s=profile.retry_after_s,
            price_usd_micro=profile.price_usd_micro,
            result_ttl_s=profile.result_ttl_s,
        )

    def pull(self, control: Control) -> None:
        """Apply a control call."""
        for name in control.model_fields_set:
            value = getattr(control, name)
            if value is not None or name == "latency_s":
                setattr(self, name, value)

    def take(self, name: str) -> bool:
        """Use up one of a ``*_next`` count; say whether there was one."""
        left: int = getattr(self, name)
        if left == 0:
            return False
        setattr(self, name, left - 1)
        return True


def load_profile(name_or_path: str) -> ProviderProfile:
    """Load a bundled profile by name, or one from a YAML file.

    Raises:
        ProfileUnknownError: there is neither a bundled profile nor a file of this name.
        pydantic.ValidationError: the file does not describe a profile.
    """
    bundled = _PROFILES / f"{name_or_path}.yaml"
    path = bundled if bundled.is_file() else Path(name_or_path)
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in _PROFILES.glob("*.yaml")))
        raise ProfileUnknownError(f"no profile {name_or_path!r}; bundled are: {known}")
    return ProviderProfile.model_validate(yaml.safe_load(path.read_text("utf-8")))

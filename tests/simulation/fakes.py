"""Profiles, rules and meters of the simulated services."""

from __future__ import annotations

from dataclasses import dataclass, field

from services.scorer.domain import Profile
from services.scorer.domain.verdict import RuleOutcome
from tests.simulation.builders import JUDGED_PROFILE, PROFILE
from winnow.contracts.errors import ErrorCode, Refused
from winnow.contracts.events import AttemptFinished


class SimulatedProfiles:
    def get(self, name: str, version: int | None = None) -> Profile:
        if (name, version) != (PROFILE, 1):
            raise Refused(ErrorCode.unknown_profile, "there is one profile")
        return JUDGED_PROFILE

    def all(self) -> list[Profile]:
        return [JUDGED_PROFILE]


class NoRules:
    def evaluate(self, expression: str, values: object) -> RuleOutcome:
        del expression, values
        return RuleOutcome(None)


@dataclass
class NoMeter:
    """Counts what must not happen."""

    crashes: list[str] = field(default_factory=list)

    def attempt_finished(self, event: AttemptFinished) -> None:
        del event

    def attempt_crashed(self, attempt_id: str, error: Exception) -> None:
        self.crashes.append(f"{attempt_id}: {type(error).__name__}: {error}")

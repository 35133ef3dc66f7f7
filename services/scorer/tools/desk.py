"""The scorer without a line around it: the same measures, guards, mappings and rules, in this process."""

from __future__ import annotations

from pathlib import Path

import cv2

from services.scorer.clients.profiles import load_profiles, read_profile
from services.scorer.clients.rules import CelRules
from services.scorer.domain import CandidateScore, Measured, Profile, judge, values_of
from services.scorer.domain.references import NO_WORDING, Wording
from services.scorer.engine.measure import measure_bytes
from services.scorer.vision.decode import decode
from services.scorer.vision.model_set import Models


class Desk:
    """Scores pictures one after the other; models load with the first that needs them."""

    def __init__(self) -> None:
        """Run on one thread, as scoring processes do, so that values are the same to the last digit."""
        cv2.setNumThreads(1)
        self.models = Models()
        self._rules = CelRules()

    def measure(
        self,
        content: bytes,
        wanted: frozenset[str],
        reference: bytes | None = None,
        wording: Wording = NO_WORDING,
    ) -> Measured:
        """Take the wanted dimensions of an encoded picture; ``reference`` shows the same person or thing."""
        return measure_bytes(content, wanted, self.models, reference, wording=wording)

    def judge(self, profile: Profile, measured: Measured) -> CandidateScore:
        """Return a profile's verdict on what was measured, rules included."""
        values = values_of(profile, measured)
        outcomes = {rule.name: self._rules.evaluate(rule.expression, values) for rule in profile.rules}
        return judge(profile, measured, outcomes)

    def score(
        self,
        content: bytes,
        profile: Profile,
        reference: bytes | None = None,
        wording: Wording = NO_WORDING,
    ) -> CandidateScore:
        """Measure and judge an encoded picture."""
        return self.judge(profile, self.measure(content, profile.wanted(), reference, wording))


def read_reference(path: Path | None) -> bytes | None:
    """Read the picture to compare with, if one is named; raises OSError, or NotDecodable with what is wrong."""
    if path is None:
        return None
    content = path.read_bytes()
    decode(content)
    return content


def find_profile(wanted: str, directory: Path) -> Profile:
    """Find a profile by name, by ``name@version`` or in a file of its own; raises ProfileInvalid or Refused."""
    rules = CelRules()
    if wanted.endswith((".yaml", ".yml")):
        return read_profile(Path(wanted), rules)
    name, _, version = wanted.partition("@")
    return load_profiles(directory, rules).get(name, int(version) if version.isdecimal() else None)

"""Built-in profiles, and the verdicts that they give on a picture."""

from __future__ import annotations

import cv2

from services.scorer.clients.rules import CelRules
from services.scorer.domain import CandidateScore, judge, values_of
from services.scorer.engine.measure import measure_bytes
from services.scorer.vision import classic
from services.scorer.vision.noise import NoiseLevel, measure_noise
from tests.support.opencv import pixels
from tests.support.profiles import built_in_profiles
from tests.unit.scorer.loaded import loaded_models
from tests.unit.scorer.photographs import BGR, portrait
from winnow.contracts.values import MeasureStatus

RULES = CelRules()
PROFILES = built_in_profiles()
PORTRAIT = portrait()
GENERAL = ("camera.png", "chelsea.png", "coffee.png", "motorcycle_left.png", "china.jpg", "flower.jpg")


def score(content: bytes, profile_name: str = "headshot") -> CandidateScore:
    profile = PROFILES.get(profile_name)
    measured = measure_bytes(content, profile.wanted(), loaded_models())
    values = values_of(profile, measured)
    return judge(
        profile, measured, {rule.name: RULES.evaluate(rule.expression, values) for rule in profile.rules}
    )


def failed(found: CandidateScore) -> set[str]:
    return {verdict.name for verdict in found.dimensions if verdict.required and not verdict.passed}


def resized(picture: BGR, side_px: int) -> BGR:
    return pixels(cv2.resize(picture, (side_px, side_px), interpolation=cv2.INTER_AREA))


def grey_of(picture: BGR) -> classic.Grey:
    return pixels(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY))


def noise_of(grey: classic.Grey) -> NoiseLevel:
    half = classic.halved(grey)
    return measure_noise(grey, half, classic.halved(half))


def status(found: CandidateScore, name: str) -> MeasureStatus:
    return next(verdict.status for verdict in found.dimensions if verdict.name == name)

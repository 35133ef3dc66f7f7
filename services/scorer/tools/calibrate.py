"""Calibrates a profile: new limits from folders of accepted and rejected pictures, written as its next version."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import yaml

from services.scorer.clients.profiles import ProfileInvalid, load_profiles, read_profile
from services.scorer.clients.rules import CelRules
from services.scorer.domain import Measured, Profile
from services.scorer.domain.calibration import Calibrated, calibrate, conformal_rank
from services.scorer.domain.quality_profile import DimensionRule
from services.scorer.domain.verdict import apply_guards
from services.scorer.tools.desk import Desk

PICTURE_SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".webp")


def calibrate_profile(
    directory: Path,
    name: str,
    accepted: Path,
    rejected: Path,
    *,
    share: float,
    out: Path | None,
    reference: bytes | None = None,
) -> dict[str, Any]:
    """Fit every limit and write the new version; raises ProfileInvalid, Refused, OSError or TooFewAccepted.

    ``share`` of good pictures is what each limit may refuse. An existing file is never written over.
    ``reference`` shows who or what all of them are to show; without it, likeness is not fitted.
    """
    source, profile = _newest(directory, name)
    target = out or Path(f"{name}-{profile.version + 1}.yaml")
    if target.exists():
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(target))
    good_files, bad_files = _pictures(accepted), _pictures(rejected)
    conformal_rank(len(good_files), share)
    desk = Desk()
    good, bad = (_measured(desk, profile, files, reference) for files in (good_files, bad_files))
    found = {
        rule.name: calibrate(rule.mapping, _raw(rule, good), _raw(rule, bad), share)
        for rule in profile.dimensions
        if rule.required
    }
    note = f"fitted on {len(good)} accepted and {len(bad)} rejected pictures, each limit refuses at most {100 * share:g} %"
    _write(source, target, profile.version + 1, found, note)
    fitted = read_profile(target, CelRules())
    return {
        "profile": f"{fitted.name}@{fitted.version}",
        "file": str(target),
        "accepted": len(good),
        "rejected": len(bad),
        "share": share,
        "dimensions": [_line(rule, found[rule.name]) for rule in profile.dimensions if rule.name in found],
        "refused_accepted": [_refused(desk, each, good) for each in (profile, fitted)],
        "refused_rejected": [_refused(desk, each, bad) for each in (profile, fitted)],
    }


def _newest(directory: Path, name: str) -> tuple[Path, Profile]:
    rules = CelRules()
    newest = load_profiles(directory, rules).get(name)
    for path in sorted(directory.glob("*.yaml")):
        if read_profile(path, rules).sha256 == newest.sha256:
            return path, newest
    raise ProfileInvalid(f"the file of {name} is gone")


def _pictures(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURE_SUFFIXES)


def _measured(desk: Desk, profile: Profile, files: Sequence[Path], reference: bytes | None) -> list[Measured]:
    return [desk.measure(path.read_bytes(), profile.wanted(), reference) for path in files]


def _raw(rule: DimensionRule, pictures: Sequence[Measured]) -> list[float | None]:
    return [_value(rule, picture) for picture in pictures]


def _value(rule: DimensionRule, picture: Measured) -> float | None:
    return apply_guards(picture.by_name()[rule.name], rule.guards).raw


def _line(rule: DimensionRule, found: Calibrated) -> dict[str, Any]:
    before = rule.mapping.raw_at(rule.threshold)
    return {
        "name": rule.name,
        "before": before,
        "after": before if found.limit is None else found.limit,
        "changed": found.limit is not None,
        "reason": found.reason,
        "separation": None if found.separation is None else round(found.separation, 4),
    }


def _refused(desk: Desk, profile: Profile, pictures: Sequence[Measured]) -> int:
    return sum(not desk.judge(profile, picture).passed for picture in pictures)


def _write(source: Path, target: Path, version: int, found: dict[str, Calibrated], note: str) -> None:
    document: dict[str, Any] = yaml.safe_load(source.read_text(encoding="utf-8"))
    document["version"] = version
    for part in document["dimensions"]:
        calibrated = found.get(part["name"])
        if calibrated is not None and calibrated.limit is not None:
            form = "rises_at" if "rises_at" in part["mapping"] else "falls_at"
            part["mapping"][form] = calibrated.limit
            part["threshold"] = 50.0
    text = yaml.safe_dump(document, sort_keys=False, width=120)
    with target.open("x", encoding="utf-8") as file:
        file.write(f"# Version {version - 1} calibrated: {note}.\n{text}")

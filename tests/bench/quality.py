"""Findings of the scorer on the labelled set.

Per dimension separation, precision, recall, and clean pictures refused.

Each defect has a known severity and each photograph is left out in turn: the limit that judges it was fitted
on the others. Beside that stands what the shipped profiles refuse. The whole set takes some minutes; people need npm.
"""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, dataclass

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from services.scorer.domain.quality_profile import DimensionRule
from services.scorer.vision import classic
from services.scorer.vision.decode import decode
from tests.bench.report import FOLDER, Report
from tests.quality.figures import at_limit, auc, leave_one_out
from tests.quality.judging import clean_scores, judged, measures, missed, profiles, technical_readings
from tests.quality.pictures import (
    HARMLESS,
    HEADSHOT,
    SCENES,
    TECHNICAL,
    people,
    png,
    scene,
    single_faces,
)

AUC_AIM = 0.97
FALSE_REJECTIONS_AIM = 0.02


@dataclass(frozen=True, slots=True)
class Row:
    """A defect at one severity; ``agreed`` severities have a bar. Shipped: with the limits of the built-in profile."""

    dimension: str
    defect: str
    agreed: bool
    pictures: int
    clean: int
    auc: float
    precision: float
    recall: float
    false_rejections: float
    shipped_recall: float
    shipped_false_rejections: float


def limit_of(rule: DimensionRule) -> float:
    """Return the profile's limit on the scale of readings, larger is better."""
    raw = rule.mapping.raw_at(rule.threshold)
    if raw is None:
        return 0.0
    return raw if rule.mapping.rises else -raw


def technical_rows() -> list[Row]:
    """Read every defect on every scene."""
    rules = {rule.name: rule for rule in profiles().get("general").dimensions}
    rows = []
    for dimension, defect, agreed, _ in track(TECHNICAL, description="technical defects"):
        readings = technical_readings(dimension, [defect], SCENES)
        clean = [reading.value for reading in readings if not reading.bad]
        bad = [reading.value for reading in readings if reading.bad]
        left_out, shipped = leave_one_out(readings), at_limit(readings, limit_of(rules[dimension]))
        rows.append(
            Row(
                dimension,
                defect,
                agreed,
                len(bad),
                len(clean),
                auc(clean, bad),
                left_out.precision,
                left_out.recall,
                left_out.false_rejection_rate,
                shipped.recall,
                shipped.false_rejection_rate,
            )
        )
    return rows


def near_duplicates() -> tuple[float, float, int]:
    """Return the AUC of hash likeness, the share of variants within 10 bits, and the number of pairs."""

    def hash_of(content: bytes) -> int:
        return int(classic.perceptual_hash(decode(content).grey), 16)

    kinds = ("jpeg quality 92", "brighter by 0.3 stops", "darker by 0.5 stops", "cropped by 4 percent")
    originals = {name: hash_of(HARMLESS["as it is"](scene(name))) for name in SCENES}
    same = [
        -float((originals[name] ^ hash_of(HARMLESS[kind](scene(name)))).bit_count())
        for name in SCENES
        for kind in kinds
    ]
    names = list(SCENES)
    others = [
        -float((originals[a] ^ originals[b]).bit_count()) for i, a in enumerate(names) for b in names[i + 1 :]
    ]
    return auc(same, others), sum(value >= -10 for value in same) / len(same), len(same) + len(others)


def headshot_rows() -> list[tuple[str, int, int, int]]:
    """Judge every headshot defect on every harmless variant: (defect, made, refused, refused by its dimension)."""
    portrait = scene("astronaut.png")
    reference = png(portrait)
    rows = []
    for name, dimensions, alter in track(HEADSHOT, description="headshot defects"):
        found = []
        for harmless in HARMLESS.values():
            varied = np.ascontiguousarray(decode(harmless(portrait)).rgb[:, :, ::-1])
            found.append(judged(png(alter(varied)), "headshot", reference))
        refused = sum(not verdict.passed for verdict in found)
        rows.append((name, len(found), refused, sum(bool(missed(verdict) & dimensions) for verdict in found)))
    return rows


def strangers() -> tuple[int, int] | None:
    """Judge other people's faces against the portrait as reference: (judged, refused as another person)."""
    groups = people()
    if groups is None or not measures("headshot", "identity_distance"):
        return None
    reference = png(scene("astronaut.png"))
    faces = [face for group in groups for face in single_faces(group)]
    found = [judged(png(face), "headshot", reference) for face in track(faces, description="other people")]
    assessed = [
        verdict
        for verdict in found
        if any(each.name == "identity_distance" and each.score is not None for each in verdict.dimensions)
    ]
    return len(assessed), sum("identity_distance" in missed(verdict) for verdict in assessed)


def clean_refused() -> tuple[int, int, list[str]]:
    """Judge harmless variants of every scene (general) and of the portrait (headshot)."""
    found = [(name, "general", clean_score) for name in SCENES for clean_score in clean_scores(name)]
    portrait = scene("astronaut.png")
    found += [
        ("astronaut.png", "headshot", judged(encode(portrait), "headshot", png(portrait)))
        for encode in HARMLESS.values()
    ]
    refused = [
        f"{name} as {profile}: {', '.join(verdict.reasons)}"
        for name, profile, verdict in found
        if not verdict.passed
    ]
    return len(found), len(refused), refused


def main() -> int:
    """Measure and report."""
    report = Report("quality")
    rows = technical_rows()
    _print(rows)
    for row in rows:
        if row.agreed:
            report.add(
                f"{row.dimension}: {row.defect}, separation (n={row.pictures}+{row.clean})",
                row.auc,
                "AUC",
                at_least=AUC_AIM,
            )
    separation, within, pairs = near_duplicates()
    report.add(f"near duplicates, separation (n={pairs} pairs)", separation, "AUC", at_least=AUC_AIM)
    report.add("near duplicates within 10 bits", within, "share")
    for name, made, refused, intended in headshot_rows():
        report.add(f"headshot: {name}, refused (n={made})", refused / made, "share", at_least=1.0)
        report.add(f"headshot: {name}, by its own dimension", intended / made, "share", at_least=1.0)
    others = strangers()
    if others is not None:
        report.add(
            f"headshot: wrong identity, refused (n={others[0]})", others[1] / others[0], "share", at_least=1.0
        )
    judged_clean, refused_clean, sentences = clean_refused()
    report.add(
        f"clean pictures refused (n={judged_clean})",
        refused_clean / judged_clean,
        "share",
        at_most=FALSE_REJECTIONS_AIM,
    )
    for sentence in sentences:
        Console(width=140).print(f"refused though clean: {sentence}")
    if others is None:
        Console(width=140).print("wrong identity was not measured: it needs the identity model and npm")
    report.close()
    (FOLDER / "quality.defects.json").write_text(json.dumps([asdict(row) for row in rows], indent=1))
    return 0


def _print(rows: list[Row]) -> None:
    table = Table(title="technical defects, left out one photograph at a time | with the shipped limits")
    for column in (
        "dimension",
        "defect",
        "n",
        "AUC",
        "precision",
        "recall",
        "clean refused",
        "| recall",
        "clean refused",
    ):
        table.add_column(column)
    for row in rows:
        table.add_row(
            row.dimension, row.defect + ("" if row.agreed else " (beyond the bar)"), f"{row.pictures}+{row.clean}",
            *(f"{value:.3f}" for value in (row.auc, row.precision, row.recall, row.false_rejections, row.shipped_recall, row.shipped_false_rejections)),
        )  # fmt: skip
    Console(width=140).print(table)


if __name__ == "__main__":
    sys.exit(main())

"""Limits fitted on accepted pictures: the share refused is bounded, too few are refused, nothing is written over."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from services.scorer.clients.profiles import read_profile
from services.scorer.clients.rules import CelRules
from services.scorer.domain.calibration import TooFewAccepted, calibrate, conformal_rank, needed
from services.scorer.domain.quality_profile import ScoreMapping
from services.scorer.tools.calibrate import calibrate_profile
from services.scorer.vision.model_set import IDENTITY, Models
from tests.support.scorer_jobs import run_jobs_here
from tests.unit.scorer.photographs import blurred, exposed, noisy, photograph, png, portrait, reshaped
from winnow.cli.main import app

# A command starts the scorer as a process that loads native libraries and models.
pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def jobs_here(monkeypatch: pytest.MonkeyPatch) -> None:
    run_jobs_here(monkeypatch)


RISES = ScoreMapping(x0=10.0, w=1.0)
FALLS = ScoreMapping(x0=10.0, w=1.0, a=1.0, s=-1.0)
PROFILE = """
name: mine
version: 3
dimensions:
  - {name: decodable, tier: 1, mapping: {exactly: 1}}
  - {name: sharpness, tier: 1, mapping: {rises_at: 9, width: 0.2}, threshold: 70}
  - {name: noise, tier: 1, mapping: {falls_at: 0.01, width: 1}}
"""


@pytest.mark.parametrize(("share", "count"), [(0.02, 50), (0.05, 20), (0.1, 10), (0.01, 100), (0.5, 2)])
def test_a_limit_needs_as_many_accepted_pictures_as_its_share_says(share: float, count: int) -> None:
    assert needed(share) == count
    assert conformal_rank(count, share) >= 1
    with pytest.raises(TooFewAccepted, match=f"at least {count} accepted pictures, here are {count - 1}"):
        conformal_rank(count - 1, share)


@given(st.lists(st.floats(-1e4, 1e4), min_size=50, max_size=200), st.booleans())
def test_no_more_than_the_share_of_the_accepted_lies_beyond_the_limit(
    values: list[float], rises: bool
) -> None:
    found = calibrate(RISES if rises else FALLS, values, [-1e9 if rises else 1e9], 0.02)
    assert found.limit is not None
    beyond = [value for value in values if (value < found.limit if rises else value > found.limit)]
    assert len(beyond) < conformal_rank(len(values), 0.02)


def test_on_new_pictures_of_a_known_distribution_the_share_holds() -> None:
    draws = random.Random(7)
    refused, judged = 0, 0
    for _ in range(400):
        limit = calibrate(RISES, [draws.gauss(0, 1) for _ in range(60)], [-99.0], 0.02).limit
        assert limit is not None
        refused += sum(draws.gauss(0, 1) < limit for _ in range(50))
        judged += 50
    # 1 of 61 is the exact expectation; 20,000 draws leave it within 0.4 percentage points.
    assert refused / judged == pytest.approx(1 / 61, abs=0.004)


def test_a_dimension_that_tells_nothing_apart_is_loosened_and_never_tightened() -> None:
    far, near = [float(value) for value in range(100, 160)], [float(value) for value in range(60)]
    assert calibrate(RISES, far, far, 0.02).limit is None
    assert calibrate(RISES, near, near, 0.02).limit == 0.0
    assert calibrate(RISES, far, near, 0.02).limit == 100.0
    assert calibrate(RISES, far, near, 0.02).separation == 1.0


def test_values_that_were_not_taken_count_as_worst() -> None:
    values: list[float | None] = [float(value) for value in range(100, 200)]
    assert calibrate(RISES, [None, *values], [0.0], 0.02).limit == 100.0
    found = calibrate(RISES, [None, None, None, *values], [0.0], 0.02)
    assert (found.limit, found.reason) == (None, "too many accepted pictures cannot be assessed")
    assert calibrate(ScoreMapping(exactly=1.0), values, [], 0.02).reason == "asks for one exact value"


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    names = ("chelsea.png", "coffee.png", "rocket.jpg", "astronaut.png", "china.jpg")
    for kind in ("accepted", "rejected", "few", "two", "profiles"):
        (folder / kind).mkdir()
    for index in range(50):
        whole = photograph(names[index % len(names)])
        top, left = 8 * (index // len(names)), 5 * (index // len(names))
        part = whole[top : top + 240, left : left + 320]
        (folder / "accepted" / f"{index:02}.png").write_bytes(png(part))
        if index < 10:
            bad = blurred(part, 2) if index % 2 else noisy(part, 25)
            (folder / "rejected" / f"{index:02}.png").write_bytes(png(bad))
            (folder / "few" / f"{index:02}.png").write_bytes(png(part))
        if index < 2:
            (folder / "two" / f"{index:02}.png").write_bytes(png(part))
    (folder / "profiles" / "mine.yaml").write_text(PROFILE)
    return folder


@pytest.mark.usefixtures("jobs_here")
def test_a_profile_with_wrong_limits_learns_good_ones_as_its_next_version(
    folders: Path, tmp_path: Path
) -> None:
    target = tmp_path / "mine-4.yaml"
    arguments = (folders / "profiles", "mine", folders / "accepted", folders / "rejected")
    found = calibrate_profile(*arguments, share=0.02, out=target)
    assert (found["profile"], found["accepted"], found["rejected"]) == ("mine@4", 50, 10)
    assert found["refused_accepted"][0] == 50
    assert found["refused_accepted"][1] <= 1
    assert found["refused_rejected"][1] >= 5
    fitted = read_profile(target, CelRules())
    assert "50 accepted and 10 rejected pictures" in target.read_text()
    assert {rule.name: rule.threshold for rule in fitted.dimensions}["sharpness"] == 50.0
    before = target.read_text()
    with pytest.raises(FileExistsError):
        calibrate_profile(*arguments, share=0.02, out=target)
    assert target.read_text() == before
    assert (folders / "profiles" / "mine.yaml").read_text() == PROFILE


@pytest.mark.usefixtures("jobs_here")
def test_too_few_accepted_pictures_are_refused_in_a_sentence(folders: Path, tmp_path: Path) -> None:
    target = tmp_path / "new.yaml"
    arguments = ["calibrate", str(folders / "few"), str(folders / "rejected"), "--profile", "general"]
    result = CliRunner().invoke(app, [*arguments, "--out", str(target)], terminal_width=200)
    assert result.exit_code == 1
    said = " ".join(result.output.split())
    assert "Refusing at most 2 % of good pictures needs at least 50 accepted pictures, here are 10." in said
    assert not target.exists()


def test_the_command_writes_and_tells_what_changed(folders: Path, tmp_path: Path) -> None:
    target = tmp_path / "new.yaml"
    arguments = ["calibrate", str(folders / "two"), str(folders / "two"), "--profile", "general"]
    more = ["--percent", "50", "--out", str(target)]
    result = CliRunner().invoke(app, [*arguments, *more, "--json"], terminal_width=200)
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    assert found["profile"].startswith("general@")
    assert {dimension["name"] for dimension in found["dimensions"]} >= {"sharpness", "noise"}
    again = CliRunner().invoke(app, [*arguments, *more], terminal_width=200)
    assert again.exit_code == 1
    assert "File exists" in again.output


@pytest.fixture(scope="module")
def likenesses(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("likenesses")
    person = portrait()
    kinds = {
        "accepted": [exposed(person, 0.2), np.ascontiguousarray(person[4:, :-4])],
        "rejected": [reshaped(person), exposed(reshaped(person), 0.2)],
    }
    for kind, pictures in kinds.items():
        (folder / kind).mkdir()
        for index, picture in enumerate(pictures):
            (folder / kind / f"{index}.png").write_bytes(png(picture))
    (folder / "reference.png").write_bytes(png(person))
    (folder / "broken.png").write_bytes(png(person)[:2000])
    return folder


def fitted_on(likenesses: Path, target: Path, *more: str) -> Result:
    folders = [str(likenesses / "accepted"), str(likenesses / "rejected")]
    arguments = [
        "calibrate",
        *folders,
        "--profile",
        "headshot",
        "--percent",
        "50",
        "--out",
        str(target),
        "--json",
    ]
    return CliRunner().invoke(app, [*arguments, *more], terminal_width=200)


@pytest.mark.usefixtures("jobs_here")
def test_likeness_is_fitted_where_a_reference_is_named(
    models: Models, likenesses: Path, tmp_path: Path
) -> None:
    assert models.lacks(IDENTITY) is None
    target = tmp_path / "alike.yaml"
    result = fitted_on(likenesses, target, "--reference", str(likenesses / "reference.png"))
    assert result.exit_code == 0, result.output
    found = json.loads(result.output)
    of_identity = {dimension["name"]: dimension for dimension in found["dimensions"]}["identity_distance"]
    assert of_identity["changed"]
    # The accepted pictures are of the same person; the faces pulled out of proportion are as far away as other people's.
    assert of_identity["after"] < of_identity["before"]
    assert of_identity["separation"] == 1.0
    assert found["refused_rejected"][1] == 2
    rules = {rule.name: rule for rule in read_profile(target, CelRules()).dimensions}
    assert rules["identity_distance"].mapping.raw_at(50.0) == pytest.approx(of_identity["after"])


@pytest.mark.usefixtures("jobs_here")
def test_likeness_stays_as_it_is_without_a_reference(
    models: Models, likenesses: Path, tmp_path: Path
) -> None:
    assert models.lacks(IDENTITY) is None
    result = fitted_on(likenesses, tmp_path / "apart.yaml")
    assert result.exit_code == 0, result.output
    found = {dimension["name"]: dimension for dimension in json.loads(result.output)["dimensions"]}
    for name in ("identity_distance", "skin_tone_shift"):
        assert not found[name]["changed"]
        assert found[name]["after"] == found[name]["before"]
        assert found[name]["reason"] == "too many accepted pictures cannot be assessed"


@pytest.mark.usefixtures("jobs_here")
@pytest.mark.parametrize("name", ["broken.png", "absent.png"])
def test_a_reference_that_cannot_be_read_stops_calibration(
    likenesses: Path, tmp_path: Path, name: str
) -> None:
    target = tmp_path / "none.yaml"
    result = fitted_on(likenesses, target, "--reference", str(likenesses / name))
    assert result.exit_code != 0
    assert "reference" in result.output.lower() or name in result.output
    assert not target.exists()

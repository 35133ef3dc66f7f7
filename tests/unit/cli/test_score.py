"""`winnow score` and `winnow profiles`: the real jobs on real pictures; the table, the JSON and the drawing say the same."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from services.scorer.clients.profiles import BUILT_IN
from tests.support.scorer_jobs import run_jobs_here
from tests.unit.scorer.photographs import blurred, png, portrait, reshaped
from winnow.cli.main import app
from winnow.cli.score import REJECTED

# Two start the scorer as a process that loads native libraries and models.
pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def jobs_here(monkeypatch: pytest.MonkeyPatch) -> None:
    run_jobs_here(monkeypatch)


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(arguments), terminal_width=200)
    assert "Traceback" not in result.output
    return result.exit_code, result.output


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "clean.png").write_bytes(png(portrait()))
    (folder / "soft.png").write_bytes(png(blurred(portrait(), 2)))
    (folder / "other.png").write_bytes(png(reshaped(portrait())))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff no picture")
    return folder


@pytest.mark.usefixtures("jobs_here")
def test_a_reference_is_compared_with_and_one_that_is_no_picture_is_told(pictures: Path) -> None:
    clean, other, broken = (str(pictures / name) for name in ("clean.png", "other.png", "broken.jpg"))
    arguments = ("score", "--profile", "headshot", "--json", "--reference")
    same, different = (json.loads(run(*arguments, picture, clean)[1]) for picture in (clean, other))
    distances = [
        {part["name"]: part for part in found["dimensions"]}["identity_distance"]["raw"]
        for found in (same, different)
    ]
    assert distances[0] == pytest.approx(0, abs=1e-3)
    assert distances[1] > 0.3
    assert "identity_distance" in {part["name"] for part in same["dimensions"] if part["passed"]}
    code, text = run(*arguments, broken, clean)
    assert code != 0
    assert "reference is no picture" in text
    assert "There is no file" in run(*arguments, str(pictures / "nowhere.png"), clean)[1]


@pytest.mark.usefixtures("jobs_here")
def test_scores_as_json_name_units_limits_and_reasons(pictures: Path) -> None:
    names = [str(pictures / name) for name in ("clean.png", "soft.png", "broken.jpg")]
    code, text = run("score", "--profile", "headshot", "--json", *names)
    assert code == REJECTED
    clean, soft, broken = (json.loads(line) for line in text.splitlines())
    assert [line["passed"] for line in (clean, soft, broken)] == [True, False, False]
    sharpness = {dimension["name"]: dimension for dimension in soft["dimensions"]}["sharpness"]
    assert sharpness["raw"] < sharpness["limit"] == 0.6
    assert (sharpness["limit_is"], sharpness["tier"], sharpness["passed"]) == ("at least", 1, False)
    assert sharpness["unit"]
    assert {dimension["tier"] for dimension in soft["dimensions"]} == {1, 2, 3}
    assert "shapes" not in soft
    assert broken["width"] == 0
    assert all(not dimension["passed"] for dimension in broken["dimensions"])


@pytest.mark.usefixtures("jobs_here")
def test_words_and_colours_that_are_asked_for_are_judged(pictures: Path) -> None:
    asked = ("--copy", "OPEN DAILY", "--brand-colour", "#00ff00")
    code, text = run("score", "--profile", "product", "--json", *asked, str(pictures / "clean.png"))
    assert code == REJECTED
    found = {dimension["name"]: dimension for dimension in json.loads(text)["dimensions"]}
    assert found["copy_distance"]["raw"] > 0.5
    assert found["brand_colour"]["raw"] > 5
    code, text = run("score", "--brand-colour", "green", str(pictures / "clean.png"))
    assert code not in (0, REJECTED)


@pytest.mark.usefixtures("jobs_here")
def test_table_says_why_and_the_drawing_shows_face_and_verdict(pictures: Path, tmp_path: Path) -> None:
    target = tmp_path / "drawn" / "soft.png"
    code, text = run("score", str(pictures / "soft.png"), "--profile", "headshot", "--annotated", str(target))
    assert code == REJECTED
    assert "does not pass headshot@" in text
    assert "at least 0.6 is needed" in text
    drawn = Image.open(io.BytesIO(target.read_bytes())).convert("RGB")
    original = Image.open(pictures / "soft.png").convert("RGB").resize((1024, 1024))
    assert drawn.width > drawn.height == 1024
    # The yellow box round the face, and nothing drawn in the corner furthest from it.
    colours = {colour for _, colour in drawn.getcolors(1 << 24) or ()}
    assert (255, 205, 60) in colours
    corner = (900, 900, 1000, 1000)
    assert (
        sum(
            abs(a - b)
            for a, b in zip(drawn.crop(corner).tobytes(), original.crop(corner).tobytes(), strict=True)
        )
        < 30_000
    )


def test_several_pictures_are_drawn_into_a_directory_broken_ones_too(pictures: Path, tmp_path: Path) -> None:
    names = [str(pictures / name) for name in ("clean.png", "broken.jpg")]
    code, text = run("score", "--profile", "headshot", "--annotated", str(tmp_path / "all"), *names)
    assert code == REJECTED
    assert {file.name for file in (tmp_path / "all").iterdir()} == {
        "clean.annotated.png",
        "broken.annotated.png",
    }
    assert text.count("not assessed:") == 0
    assert "decodable" in text


def test_what_cannot_be_scored_is_said_in_a_sentence(pictures: Path) -> None:
    for arguments, said in (
        (["score", str(pictures / "absent.png")], "There is no file"),
        (
            ["score", str(pictures / "clean.png"), "--profile", "nobody"],
            "This quality profile version does not exist.",
        ),
        (["score", str(pictures / "clean.png"), "--profile", "absent.yaml"], "absent.yaml"),
    ):
        result = CliRunner().invoke(app, arguments, terminal_width=200)
        assert result.exit_code == 1
        assert said in result.output


@pytest.mark.usefixtures("jobs_here")
def test_profile_files_are_checked_as_the_scorer_does(tmp_path: Path) -> None:
    built_in = BUILT_IN / "headshot.yaml"
    assert run("profiles", "check", str(built_in))[0] == 0
    wrong = tmp_path / "mine.yaml"
    wrong.write_text(built_in.read_text().replace("noise.raw < 4.0", "nois.raw < 4.0"))
    code, text = run("profiles", "check", str(wrong), str(built_in))
    assert code == 1
    assert "wrong mine.yaml: rule soft_and_noisy: nois.raw: did you mean noise.raw?" in text
    assert "valid" in text
    assert "1 of 2 profiles cannot be used." in text


def test_profiles_are_listed_with_their_versions() -> None:
    code, text = run("profiles", "list", "--json")
    assert code == 0
    assert {"headshot", "product", "general"} <= {line["name"] for line in json.loads(text)}

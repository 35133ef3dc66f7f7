"""Model files: pinned where they come from, checked when built and again when loaded, a sentence when missing."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
import yaml

from scripts.models.__main__ import WrongContent, build, is_built, produce
from scripts.models.dlib_resnet import convert
from scripts.models.sources import read_sources
from services.scorer.inference.manifest import ManifestInvalid, manifest_versions, read_manifest
from services.scorer.inference.models import ModelMissing
from services.scorer.vision.model_set import IDENTITY, NSFW, PORTRAIT_MATTE, Models

FORBIDDEN = ("agpl", "non-commercial", "noncommercial", "cc-by-nc", "none stated")


def test_every_source_is_pinned_and_freely_usable() -> None:
    sources = read_sources()
    assert (
        len({source.file for source in sources}) == len({source.name for source in sources}) == len(sources)
    )
    for source in sources:
        assert not any(word in source.licence.lower() for word in FORBIDDEN), source


def test_the_documentation_names_every_model_with_package_and_licence() -> None:
    text = (Path(__file__).resolve().parents[3] / "docs/models.md").read_text()
    for source in read_sources():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{source.name}` "))
        assert source.package.replace("==", " ") in row
        assert source.licence.split(" ")[0] in row


def test_the_built_directory_is_what_the_scorer_reads(models_dir: Path) -> None:
    entries = read_manifest(models_dir)
    assert set(entries) == {source.name for source in read_sources()}
    for entry in entries.values():
        assert hashlib.sha256((models_dir / entry.file).read_bytes()).hexdigest() == entry.sha256
    assert manifest_versions(models_dir)[NSFW].startswith("sha256:")


def test_what_is_there_is_not_built_again(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("scripts.models.__main__.unpacked", never)
    assert build(read_sources(), models_dir) == []


def test_a_file_with_other_content_is_neither_taken_nor_kept(tmp_path: Path) -> None:
    source = read_sources()[0]
    with pytest.raises(WrongContent):
        produce(source, b"something else")
    (tmp_path / source.file).write_bytes(b"something else")
    assert not is_built(source, tmp_path)


def test_another_weight_file_is_not_converted() -> None:
    with pytest.raises(ValueError, match="not dlib's"):
        convert(b"fc_2" * 10)


def test_a_missing_model_says_how_it_is_got(tmp_path: Path) -> None:
    models = Models(tmp_path)
    for name in (IDENTITY, NSFW, PORTRAIT_MATTE):
        assert "make models" in (models.lacks(name) or "")
    with pytest.raises(ModelMissing):
        models.network(NSFW)


def test_a_changed_model_is_missing(models_dir: Path, tmp_path: Path) -> None:
    shutil.copy(models_dir / "manifest.yaml", tmp_path)
    (tmp_path / "nsfw.onnx").write_bytes(b"changed")
    assert "not the one of the manifest" in (Models(tmp_path).lacks(NSFW) or "")


@pytest.mark.parametrize("text", ["models: 3", "models: [{name: Bad}]", "- - :"])
def test_a_wrong_manifest_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.yaml").write_text(text)
    with pytest.raises(ManifestInvalid):
        Models(tmp_path)


def test_a_model_file_stays_inside_its_directory(tmp_path: Path) -> None:
    entry = {"name": "x", "file": "../x.onnx", "sha256": "0" * 64, "licence": "MIT"}
    (tmp_path / "manifest.yaml").write_text(yaml.safe_dump({"models": [entry]}))
    with pytest.raises(ManifestInvalid):
        Models(tmp_path)

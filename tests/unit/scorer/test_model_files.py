"""Model files as the scorer reads them: checked when they are loaded, a sentence when missing."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

import pytest
import yaml

from model_builder.sources import read_sources
from services.scorer.inference.manifest import ManifestInvalid, manifest_versions, read_manifest
from services.scorer.inference.models import ModelMissing
from services.scorer.vision.model_set import IDENTITY, NSFW, PORTRAIT_MATTE, Models


def test_the_built_directory_is_what_the_scorer_reads(models_dir: Path) -> None:
    entries = read_manifest(models_dir)
    assert set(entries) == {source.name for source in read_sources()}
    for entry in entries.values():
        assert hashlib.sha256((models_dir / entry.file).read_bytes()).hexdigest() == entry.sha256
    assert manifest_versions(models_dir)[NSFW].startswith("sha256:")


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

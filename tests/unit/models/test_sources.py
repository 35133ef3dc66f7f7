"""Sources of the models: pinned, freely usable, documented, checked when they are built."""

from __future__ import annotations

from pathlib import Path

import pytest

from model_builder import dlib_resnet, hand_detector
from model_builder.__main__ import WrongContent, build, is_built, produce
from model_builder.sources import read_sources

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


def test_what_is_there_is_not_built_again(models_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("model_builder.__main__.unpacked", never)
    assert build(read_sources(), models_dir) == []


def test_a_file_with_other_content_is_neither_taken_nor_kept(tmp_path: Path) -> None:
    source = read_sources()[0]
    with pytest.raises(WrongContent):
        produce(source, b"something else")
    (tmp_path / source.file).write_bytes(b"something else")
    assert not is_built(source, tmp_path)


def test_another_weight_file_is_not_converted() -> None:
    with pytest.raises(ValueError, match="not dlib's"):
        dlib_resnet.convert(b"fc_2" * 10)


def test_another_file_is_no_bundle() -> None:
    with pytest.raises(ValueError, match="no hand landmarker bundle"):
        hand_detector.convert(b"not an archive")

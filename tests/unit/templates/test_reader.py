"""Templates as files: what all three readers share is checked once, by file, field and reason."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel

from tests.support.builders.templates import copied_templates
from winnow.templates import TEMPLATES_FOLDER, read_templates


def test_a_bundled_template_stands_in_the_file_of_its_name() -> None:
    files = read_templates()
    assert len(files) == len(list(TEMPLATES_FOLDER.glob("*.yaml")))
    assert {file.file.removesuffix(".yaml") for file in files} == {file.name for file in files}


class Rounds(BaseModel):
    rounds: dict[str, int | str]


def test_a_reader_takes_the_part_that_it_names() -> None:
    part = read_templates()[0].part(Rounds)
    assert part.rounds["rounds_max"] == 3


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("version: 1\n", "", "version: Field required"),
        ("version: 1\n", "version: 0\n", "version: Input should be greater than or equal to 1"),
        ("name: product_shot", "name: Product shot", "name: String should match pattern"),
        ("rounds:\n", "round:\n", "rounds: Field required; round: Extra inputs are not permitted"),
        ("  stable: {pinned", "  psychic: {pinned", r"modes\.psychic\.\[key\]: Input should be"),
        ("name: product_shot", "file: x\nname: product_shot", "file: Extra inputs are not permitted"),
        (
            "name: product_shot",
            "name: studio_headshot",
            r"name: .*\.yaml is version 1 of studio_headshot too",
        ),
        ("modes:", "modes: [", "not YAML"),
    ],
)
def test_a_wrong_template_is_refused_by_file_field_and_reason(
    tmp_path: Path, old: str, new: str, fault: str
) -> None:
    path = copied_templates(tmp_path) / "product_shot.yaml"
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(ValueError, match=rf"^(product_shot|studio_headshot)\.yaml: {fault}"):
        read_templates(tmp_path)


def test_a_folder_without_templates_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no template"):
        read_templates(tmp_path)


def test_a_document_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("- a list")
    with pytest.raises(ValueError, match=r"^a\.yaml: the document: "):
        read_templates(tmp_path)

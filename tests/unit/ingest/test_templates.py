"""The part of the templates that ingest reads: orders."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.ingest.store.catalogue import load
from tests.support.builders.templates import copied_templates
from winnow.contracts.values import Mode


def test_the_bundled_templates_are_offered_in_every_mode() -> None:
    templates = load().catalogue.templates
    assert set(templates) == {"studio_headshot", "product_shot", "ad_creative", "background_removal"}
    for template in templates.values():
        assert template.modes == (Mode.stable, Mode.fast, Mode.low_cost)
        assert template.version == 1


def test_of_two_versions_the_newest_can_be_ordered(tmp_path: Path) -> None:
    templates = copied_templates(tmp_path)
    text = (templates / "product_shot.yaml").read_text()
    (templates / "a-new-file.yaml").write_text(text.replace("version: 1\n", "version: 10\n", 1))
    (templates / "product_shot-9.yaml").write_text(text.replace("version: 1\n", "version: 9\n", 1))
    assert load(templates).catalogue.templates["product_shot"].version == 10


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("size_step: 8", "size_step: wide", r"order\.size_step: Input should be a valid integer"),
        ("size_step: 8", "size_steps: 8", r"order\.size_step: Field required"),
        ("  title:", "  modes: [fast]\n  title:", r"order\.modes: this field belongs to the template"),
        (
            "{name: product, version: 2}\n  profiles",
            "{name: product, version: 9}\n  profiles",
            r"order\.profile: ",
        ),
        ("k: {least: 1, greatest: 60}", "k: {least: 1, most: 60}", r"order\.k\.greatest: Field required"),
    ],
)
def test_a_wrong_part_of_a_template_is_refused_by_file_field_and_reason(
    tmp_path: Path, old: str, new: str, fault: str
) -> None:
    path = copied_templates(tmp_path) / "product_shot.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(ValueError, match=rf"^product_shot\.yaml: {fault}"):
        load(tmp_path)

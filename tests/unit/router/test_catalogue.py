"""Files of the catalogue: what is read, and what is refused by field and reason."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest

from services.router.store.catalogue import CATALOGUE_FOLDER, OFFERINGS, read_catalogue
from tests.support.builders.templates import copied_templates
from winnow.contracts.values import Mode

TODAY = date(2026, 11, 22)


def test_a_template_may_name_the_offerings_of_its_pinned_mode(tmp_path: Path) -> None:
    offerings = (CATALOGUE_FOLDER / OFFERINGS).read_text("utf-8")
    lines = [line for line in offerings.splitlines() if "pinned_for" not in line]
    (tmp_path / "offerings.yaml").write_text("\n".join(lines))
    templates = copied_templates(tmp_path / "templates")
    for path in templates.glob("*.yaml"):
        pinned = "stable: {pinned: true, offerings: [replicate-flux-dev]}"
        path.write_text(path.read_text().replace("stable: {pinned: true}", pinned))
    template_ = read_catalogue(tmp_path, templates_folder=templates).templates["studio_headshot", 1]
    assert template_.modes[Mode.stable].offerings == ("replicate-flux-dev",)


def test_a_catalogue_with_traits_of_before_is_read(tmp_path: Path) -> None:
    former = "is_async: true, seed: true, replayable_submit: false, bills_on_cancel: true, "
    text = (CATALOGUE_FOLDER / OFFERINGS).read_text("utf-8")
    (tmp_path / OFFERINGS).write_text(text.replace("traits: {", f"traits: {{{former}"))
    assert read_catalogue(tmp_path) == read_catalogue()


def test_a_file_of_templates_in_the_catalogue_folder_is_refused(tmp_path: Path) -> None:
    shutil.copy(CATALOGUE_FOLDER / OFFERINGS, tmp_path)
    (tmp_path / "templates.yaml").write_text("templates: []")
    with pytest.raises(ValueError, match=r"templates\.yaml of a catalogue folder is not read"):
        read_catalogue(tmp_path)


def test_two_versions_of_a_template_are_both_routed(tmp_path: Path) -> None:
    templates = copied_templates(tmp_path)
    text = (templates / "product_shot.yaml").read_text()
    (templates / "product_shot-2.yaml").write_text(text.replace("version: 1\n", "version: 2\n", 1))
    assert {("product_shot", 1), ("product_shot", 2)} <= set(
        read_catalogue(templates_folder=templates).templates
    )


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("rounds_max: 3", "rounds_max: many", r"rounds\.rounds_max: Input should be a valid integer"),
        ("rounds_max: 3", "round_max: 3", r"rounds\.round_max: Unexpected keyword argument"),
        ("spill_ppm: 4000000", "spill: 4", r"modes\.low_cost\.spill: Unexpected keyword argument"),
        (
            "{pinned: true}",
            "{offerings: [nobody]}",
            r"modes\.stable\.offerings: unknown offerings: \['nobody'\]",
        ),
        ("name: product_shot", "name: other_shot", r"modes\.stable\.pinned: no offering is pinned"),
    ],
)
def test_a_wrong_part_of_a_template_is_refused_by_file_field_and_reason(
    tmp_path: Path, old: str, new: str, fault: str
) -> None:
    templates = copied_templates(tmp_path)
    path = templates / "product_shot.yaml"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))
    offerings = tmp_path / "offerings"
    offerings.mkdir()
    listed = (
        (CATALOGUE_FOLDER / OFFERINGS)
        .read_text("utf-8")
        .replace("product_shot, ", "")
        .replace(", product_shot", "")
    )
    (offerings / "offerings.yaml").write_text(listed)
    with pytest.raises(ValueError, match=rf"product_shot\.yaml: {fault}"):
        read_catalogue(offerings if "name" in old else CATALOGUE_FOLDER, templates_folder=templates)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("max_n: 4", "max_n: 0"),
        ("max_n: 4", "max_nn: 4"),
        ("cancel: true", "cancels: true"),
        ("price_usd_micro: 3000", "price_usd_micro: 3000.5"),
        ("name: openai-gpt-image-2\n", "name: fal-flux-schnell\n"),
        ("pinned_for: [background_removal]", "pinned_for: [nothing]"),
        ("pinned_for: [background_removal]", "pinned_for: []"),
        ("https://replicate.com", "replicate.com"),
    ],
    ids=[
        "out of bounds",
        "misspelt",
        "misspelt trait",
        "not whole",
        "twice",
        "unknown template",
        "nothing pinned",
        "no source",
    ],
)
def test_a_wrong_catalogue_is_refused(tmp_path: Path, old: str, new: str) -> None:
    text = (CATALOGUE_FOLDER / "offerings.yaml").read_text("utf-8")
    assert old in text
    (tmp_path / "offerings.yaml").write_text(text.replace(old, new))
    with pytest.raises(ValueError, match=r"^(offerings|background_removal)\.yaml: "):
        read_catalogue(tmp_path)

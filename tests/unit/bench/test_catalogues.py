"""The catalogues that benches and the fault matrix write are such that a router starts with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from services.router.store.catalogue import read_catalogue
from tests.bench.backlog import patient_settings
from tests.bench.fanout import fanout_settings
from tests.bench.lean.world import lean_settings
from tests.bench.line import widened_catalogue
from tests.chaos.world import short_limits
from winnow.contracts.values import Mode


@pytest.mark.parametrize("write", [widened_catalogue, short_limits])
def test_a_copy_of_the_simulators_catalogue_is_read(tmp_path: Path, write: Callable[[Path], None]) -> None:
    write(tmp_path)
    offerings = read_catalogue(tmp_path).offerings
    assert len(offerings) == 4
    assert all(name.startswith("simulated-") for name in offerings)


@pytest.mark.parametrize(
    "settings_of",
    [
        lambda folder: lean_settings(folder)["router"],
        lambda folder: fanout_settings(folder, 24)["router"],
        patient_settings,
    ],
    ids=["lean", "fanout", "backlog"],
)
def test_a_catalogue_of_one_certain_offering_is_read(
    tmp_path: Path, settings_of: Callable[[Path], dict[str, str]]
) -> None:
    settings = settings_of(tmp_path)
    folder, templates = Path(settings["CATALOGUE_FOLDER"]), Path(settings["TEMPLATES_FOLDER"])
    catalogue = read_catalogue(folder, templates_folder=templates)
    assert list(catalogue.offerings) == ["simulated-openai"]
    assert all(Mode.stable not in template.modes for template in catalogue.templates.values())

"""Copies of the bundled templates, for a test to change."""

from __future__ import annotations

import shutil
from pathlib import Path

from winnow.templates import TEMPLATES_FOLDER


def copied_templates(folder: Path) -> Path:
    """Copy the bundled templates into a folder, made where it is missing; return the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in TEMPLATES_FOLDER.glob("*.yaml"):
        shutil.copy(path, folder)
    return folder

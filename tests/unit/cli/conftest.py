"""The width of what commands print."""

import pytest

from winnow.cli import console


@pytest.fixture(autouse=True)
def wide_consoles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Print as wide as a file, whatever COLUMNS says where the tests run."""
    for printed_on in (console.out, console.err):
        monkeypatch.setattr(printed_on, "_width", 200)

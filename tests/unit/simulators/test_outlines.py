"""Stored outlines are those that GrabCut makes of the drawn ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from simulators.photos.outlines import OUTLINES, stored, text_of


@pytest.mark.parametrize("name", OUTLINES)
def test_a_stored_outline_is_the_refined_one(name: str) -> None:
    kept, refined = stored(name), OUTLINES[name]()
    assert kept.dtype == refined.dtype == np.uint8
    np.testing.assert_array_equal(kept, refined)
    assert 0.1 < kept.mean() < 0.9


@pytest.mark.parametrize("first", [0, 1])
def test_an_outline_is_read_as_it_was_written(
    first: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outline = np.array([[first, 1, 0], [0, 1, 1]], np.uint8)
    (tmp_path / "small.txt").write_text(text_of(outline))
    monkeypatch.setattr("simulators.photos.outlines._FOLDER", tmp_path)
    np.testing.assert_array_equal(stored("small"), outline)

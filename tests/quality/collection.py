"""The collection of real photographs: what ``collections.yaml`` names, and how its packages are fetched.

A picture is never part of the repository. ``fetch`` asks the registries' ordinary clients for the pinned packages,
into a folder of this machine; ``contents`` reads a picture out of its archive and checks it against its digest.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[2]
FILE = Path(__file__).parent / "collections.yaml"
CACHE = ROOT / "build/quality/collections"

REGISTRIES = ("npm", "pypi")
ARCHIVES = ("tarball", "sdist", "wheel")
PARTS = ("tuning", "testing")
PROFILES = ("headshot", "product", "general")
_TIMEOUT_S = 600
"""The longest time that a client may take for a package."""

Run = Callable[[Sequence[str]], "subprocess.CompletedProcess[str]"]
Progress = Callable[[str], None]


class CollectionError(Exception):
    """Name the package or the picture that is not what the collection says."""


@dataclass(frozen=True)
class Source:
    """A pinned package of a registry: every picture of it lies in the same part."""

    registry: str
    package: str
    version: str
    archive: str
    licence: str
    part: str
    options: tuple[str, ...] = ()
    """Arguments of pip that make every machine get the same wheel."""

    @property
    def name(self) -> str:
        return f"{self.package} {self.version} ({self.registry})"


@dataclass(frozen=True)
class Photograph:
    """A picture of a package, with its labels by eye.

    Pictures of a scene count once. ``unsure_for`` names the profiles that the eye could not decide:
    such a picture counts neither as good nor as bad there.
    """

    source: Source
    file: str
    sha256: str
    width: int
    height: int
    scene: str
    kind: str
    good_for: frozenset[str]
    unsure_for: frozenset[str]
    faults: tuple[str, ...]
    remarks: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.file} of {self.source.name}"


@dataclass(frozen=True)
class Collection:
    kinds: Mapping[str, str]
    faults: Mapping[str, str]
    remarks: Mapping[str, str]
    photographs: tuple[Photograph, ...]

    def of(self, part: str) -> tuple[Photograph, ...]:
        if part not in PARTS:
            raise CollectionError(f"no such part: {part}")
        return tuple(photograph for photograph in self.photographs if photograph.source.part == part)

    @property
    def sources(self) -> tuple[Source, ...]:
        return tuple(dict.fromkeys(photograph.source for photograph in self.photographs))


def load(file: Path = FILE) -> Collection:
    """Return what the file names; raise ``CollectionError`` where an entry is not of the expected form."""
    document = yaml.safe_load(file.read_text())
    try:
        photographs = tuple(
            photograph for package in document["packages"] for photograph in _photographs(package)
        )
        return Collection(document["kinds"], document["faults"], document["remarks"], photographs)
    except (KeyError, TypeError) as error:
        raise CollectionError(f"{file.name}: {type(error).__name__} {error}") from error


def _photographs(package: Mapping[str, Any]) -> Iterator[Photograph]:
    source = Source(
        registry=package["registry"],
        package=package["package"],
        version=package["version"],
        archive=package["archive"],
        licence=package["licence"],
        part=package["part"],
        options=tuple(package.get("options", ())),
    )
    for entry in package["pictures"]:
        yield Photograph(
            source=source,
            file=entry["file"],
            sha256=entry["sha256"],
            width=entry["width"],
            height=entry["height"],
            scene=entry["scene"],
            kind=entry["kind"],
            good_for=frozenset(entry["good_for"]),
            unsure_for=frozenset(entry.get("unsure_for", ())),
            faults=tuple(entry["faults"]),
            remarks=tuple(entry.get("remarks", ())),
        )


def run(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S)
    except subprocess.TimeoutExpired as error:
        raise CollectionError(f"no answer within {_TIMEOUT_S} s: {command[0]}") from error


def archive_of(source: Source, cache: Path = CACHE) -> Path | None:
    """Return the fetched archive of a package, or None where it is not fetched."""
    return next((path for path in _folder(source, cache).glob("*") if path.is_file()), None)


def fetch(
    sources: Iterable[Source], cache: Path = CACHE, *, progress: Progress = print, run: Run = run
) -> None:
    """Fetch the packages that the cache lacks; raise ``CollectionError`` for a package that is not to be had."""
    wanted = list(sources)
    for number, source in enumerate(wanted, 1):
        here = archive_of(source, cache) is not None
        progress(f"{number}/{len(wanted)} {source.name}: {'at hand' if here else 'fetching'}")
        if not here:
            _fetch(source, cache, run)


def _fetch(source: Source, cache: Path, run: Run) -> None:
    """Fetch into a folder beside the final one, so that an interrupted fetch leaves nothing behind."""
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as scratch:
        answer = run(_command(source, scratch))
        archives = [path for path in Path(scratch).iterdir() if path.is_file()]
        if answer.returncode or len(archives) != 1:
            last = (answer.stderr or answer.stdout).strip().splitlines()[-1:]
            raise CollectionError(f"{source.name} cannot be fetched: {''.join(last) or 'no archive came'}")
        folder = _folder(source, cache)
        folder.mkdir(parents=True, exist_ok=True)
        archives[0].rename(folder / archives[0].name)


def _command(source: Source, folder: str) -> list[str]:
    if source.registry == "npm":
        name = f"{source.package}@{source.version}"
        return [_client("npm"), "pack", "--silent", "--ignore-scripts", "--pack-destination", folder, name]
    form = "--no-binary" if source.archive == "sdist" else "--only-binary"
    return [
        *(_client("pip"), "download", "--quiet", "--no-deps", form, ":all:", *source.options),
        *("--dest", folder, f"{source.package}=={source.version}"),
    ]


def _client(name: str) -> str:
    own = ROOT / ".tools/bin" / name
    found = str(own) if own.exists() else shutil.which(name)
    if found is None:
        raise CollectionError(f"{name} is not installed: it fetches the photographs")
    return found


def _folder(source: Source, cache: Path) -> Path:
    return cache / source.registry / source.package.replace("/", "+") / source.version


def contents(photographs: Iterable[Photograph], cache: Path = CACHE) -> Iterator[tuple[Photograph, bytes]]:
    """Yield every photograph with its file's bytes, package by package.

    Raise ``CollectionError`` for a package that is not fetched, a file that its package lacks, and a file whose
    digest is another than the collection's.
    """
    by_source: dict[Source, dict[str, Photograph]] = {}
    for photograph in photographs:
        by_source.setdefault(photograph.source, {})[photograph.file] = photograph
    for source, wanted in by_source.items():
        archive = archive_of(source, cache)
        if archive is None:
            raise CollectionError(f"{source.name} is not fetched")
        missing = dict(wanted)
        for name, content in _members(archive, wanted):
            photograph = missing.pop(name)
            digest = hashlib.sha256(content).hexdigest()
            if digest != photograph.sha256:
                raise CollectionError(f"{photograph.name} has the digest {digest}, not {photograph.sha256}")
            yield photograph, content
        for photograph in missing.values():
            raise CollectionError(f"{photograph.name} is not in the package")


def _members(archive: Path, wanted: Mapping[str, Photograph]) -> Iterator[tuple[str, bytes]]:
    """Yield the wanted files of an archive; nothing is unpacked onto the disk."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as zipped:
            for name in zipped.namelist():
                if name in wanted:
                    yield name, zipped.read(name)
        return
    with tarfile.open(archive) as tarred:
        seen = set()
        for member in tarred:
            stream = tarred.extractfile(member) if member.name in wanted else None
            if stream is not None and member.name not in seen:
                seen.add(member.name)
                yield member.name, stream.read()

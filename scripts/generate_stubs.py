"""Generate the gRPC stubs from proto/, or with --check tell whether they are up to date."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROTO = ROOT / "proto"


def generate(into: Path) -> None:
    """Write the stubs and their package markers below ``into``."""
    files = sorted(str(path.relative_to(PROTO)) for path in PROTO.rglob("*.proto"))
    command = [sys.executable, "-m", "grpc_tools.protoc", "-I", str(PROTO)]
    command += [f"--{kind}_out={into}" for kind in ("python", "pyi", "grpc_python")]
    subprocess.run([*command, *files], check=True, cwd=ROOT)
    packages = {path.parent for path in into.rglob("winnow/rpc/**/*.py")}
    for package in packages | {
        parent for path in packages for parent in path.parents if "rpc" in parent.parts
    }:
        (package / "__init__.py").touch()


def main() -> None:
    """Generate, or compare."""
    if "--check" not in sys.argv:
        generate(ROOT)
        return
    with tempfile.TemporaryDirectory() as scratch:
        generate(Path(scratch))
        stale = [
            str(path.relative_to(scratch))
            for path in sorted(Path(scratch).rglob("*.py*"))
            if not (ROOT / path.relative_to(scratch)).exists()
            or (ROOT / path.relative_to(scratch)).read_bytes() != path.read_bytes()
        ]
    if stale:
        sys.exit("stale stubs, run `make proto`: " + ", ".join(stale))


if __name__ == "__main__":
    main()

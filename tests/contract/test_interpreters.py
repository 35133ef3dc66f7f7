"""Set-up finds an interpreter that fits, and refuses others in a sentence."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "scripts/find_python.sh"


def interpreter(folder: Path, name: str, version: tuple[int, int, int], *, lacks: str = "nothing") -> Path:
    """Write a program that behaves as an interpreter of the given version."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    major, minor, micro = version
    path.write_text(
        "#!/bin/sh\n"
        f'exec {sys.executable} -c \'import sys; sys.version_info = ({major}, {minor}, {micro}, "final", 0); '
        f'sys.modules["{lacks}"] = None; exec(sys.stdin.read())\'\n'
    )
    path.chmod(0o755)
    return path


def find(tmp_path: Path, *arguments: str, python: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run the script with nothing on the path but a folder of interpreters and the shell's tools."""
    tools = tmp_path / "tools"
    tools.mkdir(exist_ok=True)
    for tool in ("bash", "env", "awk", "sort", "tail", "ls"):
        source = Path("/usr/bin") / tool
        if not (tools / tool).exists():
            (tools / tool).symlink_to(source if source.exists() else Path("/bin") / tool)
    environment = {"PATH": f"{tmp_path}/first:{tmp_path}/second:{tools}", "HOME": str(tmp_path / "home")}
    if python is not None:
        environment["PYTHON"] = python
    return subprocess.run(
        [str(SCRIPT), *arguments], env=environment, capture_output=True, text=True, check=False, timeout=25
    )


@pytest.mark.parametrize("version", [(3, 11, 0), (3, 11, 2), (3, 12, 1), (3, 13, 9)])
def test_the_first_interpreter_on_the_path_is_taken_when_it_fits(tmp_path, version):
    path = interpreter(tmp_path / "first", "python3", version)
    interpreter(tmp_path / "second", "python3", (3, 12, 0))
    assert find(tmp_path).stdout.strip() == str(path)


@pytest.mark.parametrize("version", [(2, 7, 18), (3, 10, 13), (3, 14, 0), (4, 0, 0)])
def test_an_interpreter_that_does_not_fit_is_passed_over(tmp_path, version):
    interpreter(tmp_path / "first", "python3", version)
    fitting = interpreter(tmp_path / "second", "python3", (3, 12, 0))
    assert find(tmp_path).stdout.strip() == str(fitting)


def test_a_versioned_name_is_found_when_no_python3_fits(tmp_path):
    interpreter(tmp_path / "first", "python3", (3, 10, 0))
    fitting = interpreter(tmp_path / "second", "python3.13", (3, 13, 0))
    assert find(tmp_path).stdout.strip() == str(fitting)


def test_an_interpreter_without_ensurepip_is_passed_over_with_its_mend(tmp_path):
    interpreter(tmp_path / "first", "python3", (3, 11, 2), lacks="ensurepip")
    done = find(tmp_path)
    assert done.returncode == 1
    assert "python3-venv" in done.stderr


def test_no_fitting_interpreter_is_refused_in_a_sentence_that_names_each(tmp_path):
    path = interpreter(tmp_path / "first", "python3", (3, 10, 13))
    done = find(tmp_path)
    assert done.returncode == 1
    assert not done.stdout
    assert "winnow needs CPython 3.11, 3.12 or 3.13 on Linux x86-64" in done.stderr
    assert f"{path}: it is Python 3.10.13" in done.stderr


def test_a_named_interpreter_is_taken_or_refused_and_never_replaced(tmp_path):
    interpreter(tmp_path / "first", "python3", (3, 12, 0))
    named = interpreter(tmp_path / "second", "mine", (3, 11, 5))
    old = interpreter(tmp_path / "second", "old", (3, 9, 1))
    assert find(tmp_path, python=str(named)).stdout.strip() == str(named)
    for wrong, reason in ((str(old), "it is Python 3.9.1"), ("nowhere", "it does not run")):
        done = find(tmp_path, python=wrong)
        assert done.returncode == 1
        assert f"{wrong} does not fit: {reason}" in done.stderr
        assert not done.stdout


def test_the_newest_is_the_highest_version_that_fits(tmp_path):
    interpreter(tmp_path / "first", "python3", (3, 11, 12))
    interpreter(tmp_path / "second", "python3.12", (3, 12, 0))
    newest = interpreter(tmp_path / "home/.pyenv/versions/3.13.0/bin", "python3", (3, 13, 0))
    interpreter(tmp_path / "home/.pyenv/versions/3.14.0/bin", "python3", (3, 14, 0))
    assert find(tmp_path, "--newest").stdout.strip() == str(newest)


def test_the_package_the_script_and_the_readme_name_the_same_versions():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.11,<3.14"
    assert 'SUPPORTED="3.11, 3.12 or 3.13"' in SCRIPT.read_text()
    assert "(3, 11) <= sys.version_info[:2] <= (3, 13)" in SCRIPT.read_text()
    assert "Python 3.11, 3.12 or 3.13" in (ROOT / "README.md").read_text()
    assert os.access(SCRIPT, os.X_OK)

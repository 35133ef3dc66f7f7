"""A comparison is refused with its reason, and both builds are measured by the same plan and benchmark."""

from __future__ import annotations

import subprocess
import sys
from argparse import ArgumentTypeError
from pathlib import Path

import pytest

from tests.bench.lean.__main__ import options
from tests.bench.lean.against import Build, Builds, Refused, arguments_of, comparisons, measured
from tests.bench.lean.measure import Plan
from tests.bench.lean.options import load_of, rates


def git(root: Path, *arguments: str) -> str:
    """Run git with an identity of its own."""
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    argv = ["git", "-C", str(root), *identity, *arguments]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two commits: the second changes the code and the benchmark."""
    root = tmp_path / "repository"
    for text in ("old", "new"):
        for path in ("code.py", "tests/bench/bench.py", "requirements/dev.lock"):
            file = root / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text("pins\n" if path.endswith(".lock") else f"{text}\n")
        if text == "old":
            git(tmp_path, "init", "--quiet", str(root))
        git(root, "add", ".")
        git(root, "commit", "--quiet", "-m", text)
    return root


def test_an_unknown_commit_is_refused(repository: Path) -> None:
    with pytest.raises(Refused, match="unknown commit: no-such"):
        Builds("no-such", root=repository).resolve()


def test_the_present_commit_is_refused(repository: Path) -> None:
    with pytest.raises(Refused, match="HEAD is the present commit"):
        Builds("HEAD", root=repository).resolve()


def test_a_dirty_tree_is_refused_unless_it_is_meant(repository: Path) -> None:
    (repository / "code.py").write_text("newer\n")
    with pytest.raises(Refused, match=r"1 changes that no commit holds \(M code.py"):
        Builds("HEAD~1", root=repository).resolve()
    before, after = Builds("HEAD", is_dirty_allowed=True, root=repository).resolve()
    assert after == f"{before} with changes"


def test_both_builds_run_the_present_benchmark_and_leave_nothing(repository: Path) -> None:
    with Builds("HEAD~1", root=repository).ready() as builds:
        texts = {
            side: [(build.folder / path).read_text() for path in ("code.py", "tests/bench/bench.py")]
            for side, build in builds.items()
        }
        folders = [build.folder for build in builds.values()]
        assert repository not in folders
    assert texts == {"before": ["old\n", "new\n"], "after": ["new\n", "new\n"]}
    assert not any(folder.exists() for folder in folders)
    assert len(git(repository, "worktree", "list").splitlines()) == 1


def test_a_dirty_tree_is_measured_where_it_lies(repository: Path) -> None:
    (repository / "code.py").write_text("newer\n")
    with Builds("HEAD", is_dirty_allowed=True, root=repository).ready() as builds:
        assert builds["after"].folder == repository
        assert (builds["before"].folder / "code.py").read_text() == "new\n"
    assert (repository / "code.py").read_text() == "newer\n"


def test_a_commit_without_pins_is_refused(repository: Path) -> None:
    git(repository, "rm", "--quiet", "requirements/dev.lock")
    git(repository, "commit", "--quiet", "-m", "no pins")
    git(repository, "checkout", "--quiet", "-b", "later")
    (repository / "requirements").mkdir()
    (repository / "requirements/dev.lock").write_text("pins\n")
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "-m", "pins again")
    builds = Builds("HEAD~1", root=repository)
    with pytest.raises(Refused, match="too old to be run"), builds.ready():
        pass
    assert len(git(repository, "worktree", "list").splitlines()) == 1


def benchmark_of(root: Path, text: str) -> Build:
    """Write a build whose benchmark is this text."""
    folder = root / "tests/bench/lean"
    folder.mkdir(parents=True)
    for package in (folder, folder.parent, folder.parent.parent):
        (package / "__init__.py").touch()
    (folder / "__main__.py").write_text(text)
    return Build("abc", root, sys.executable)


def test_a_run_that_fails_is_told_by_its_last_lines(tmp_path: Path) -> None:
    build = benchmark_of(tmp_path, "import sys; print('it starts', file=sys.stderr); sys.exit('no servers')")
    with pytest.raises(Refused, match="abc could not be measured:\nit starts\nno servers"):
        measured(build, Plan())


def test_figures_of_a_run_are_read_by_name(tmp_path: Path) -> None:
    text = 'import sys; open(sys.argv[2], \'w\').write(\'[{"figure": "cpu", "value": 1.5, "unit": "ms"}]\')'
    assert measured(benchmark_of(tmp_path, text), Plan()) == {"cpu": 1.5}


def test_figures_that_a_run_lacks_or_that_are_nothing_are_not_compared() -> None:
    before = [{"cpu": 10.0, "old": 1.0, "rest": 0.0}, {"cpu": 20.0, "old": 1.0, "rest": 1.0}]
    after = [{"cpu": 5.0, "rest": 1.0}, {"cpu": 8.0, "rest": 1.0}]
    found = comparisons(before, after)
    assert list(found) == ["cpu"]
    assert found["cpu"].ratios == (0.5, 0.4)


@pytest.mark.parametrize("plan", [Plan(), Plan(rates=(), lone=0, counted=0, bus="kafka", seconds=2.5)])
def test_a_plan_reaches_the_run_as_it_is(plan: Plan) -> None:
    given = options().parse_args(arguments_of(plan))
    assert plan == Plan(
        given.orders, given.at_once, given.rates, given.seconds, given.lone, given.counted, given.bus
    )


@pytest.mark.parametrize(
    "argv", [["--rates", "10,0"], ["--orders", "-1"], ["--pairs", "0"], ["--seconds", "0"]]
)
def test_a_load_that_cannot_be_is_refused(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        options().parse_args(argv)
    assert argv[1] in capsys.readouterr().err


@pytest.mark.parametrize("text", ["fastest", "rest", "25", "2.5"])
def test_a_load_is_named_or_a_rate(text: str) -> None:
    assert load_of(text) == text


@pytest.mark.parametrize("text", ["", "10,25", "0", "slow"])
def test_another_load_is_refused(text: str) -> None:
    with pytest.raises((ValueError, ArgumentTypeError)):
        load_of(text)


def test_rates_are_a_list_that_may_be_empty() -> None:
    assert rates("10, 25") == (10.0, 25.0)
    assert rates("") == ()

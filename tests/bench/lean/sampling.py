"""Profile of a lean line by cause and service: where the CPU of a task goes, from stacks that py-spy samples."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from tests.bench.counts import when_quiet
from tests.bench.lean.causes import NAMES, Profile, read_profile
from tests.bench.lean.load import all_delivered, at_rate, place, settled
from tests.bench.lean.options import at_least, load_of, seconds
from tests.bench.lean.world import CREDITS, ORDER, lean_profiles, lean_settings
from tests.bench.processes import cpu_s
from tests.bench.report import FOLDER
from tests.support.eventually import eventually_sync
from tests.support.servers.line import RunningLine, running_line
from winnow.local.line import SERVICES

ROOT: Final = Path(__file__).resolve().parents[3]
SAMPLER: Final = ROOT / "build/bench-venv/bin/py-spy"
REST: Final = "rest"
FASTEST: Final = "fastest"
_WARM_UP: Final = 50
_SAMPLES_PER_S: Final = 100
_BEGINS: Final = "Sampling process"
"""Words of the sampler once it has read a process's symbols and takes its first sample."""
_STARTS_S: Final = 60.0
_ENDS_S: Final = 30.0


class NoProfile(Exception):  # noqa: N818 (the noun of what is missing)
    """The sampler cannot be run, or may not look at other processes; the text says so."""


@contextmanager
def sampled(pids: Mapping[str, int], folder: Path) -> Iterator[None]:
    """Sample processes, with their children, into a file of stacks each."""
    if not SAMPLER.exists():
        raise NoProfile(f"{SAMPLER} is missing: run `make profile-lean`, which installs it")
    folder.mkdir(parents=True, exist_ok=True)
    samplers = {name: _sampler(pid, folder / name) for name, pid in pids.items()}
    try:
        _wait_for_samples(samplers, folder)
        yield
    finally:
        for sampler in samplers.values():
            if sampler.poll() is None:
                sampler.send_signal(signal.SIGINT)
        for sampler in samplers.values():
            try:
                sampler.wait(_ENDS_S)
            except subprocess.TimeoutExpired:
                sampler.kill()
                sampler.wait()
    _check(samplers, is_running=False)


def _wait_for_samples(samplers: Mapping[str, subprocess.Popen[str]], folder: Path) -> None:
    def each_samples() -> bool:
        _check(samplers, is_running=True)
        return all(_BEGINS in (folder / f"{name}.log").read_text() for name in samplers)

    try:
        eventually_sync(each_samples, within_s=_STARTS_S)
    except AssertionError:
        msg = f"py-spy took no sample within {_STARTS_S:g} s: {folder}/*.log"
        raise NoProfile(msg) from None


def _sampler(pid: int, output: Path) -> subprocess.Popen[str]:
    argv = [str(SAMPLER), "record", "--pid", str(pid), "--rate", str(_SAMPLES_PER_S), "--subprocesses"]
    # A process that is paused for each sample wakes all its threads afterwards, which costs more than its work.
    argv += ["--nonblocking", "--format", "raw", "--full-filenames"]
    argv += ["--output", str(output.with_suffix(".txt"))]
    with output.with_suffix(".log").open("w") as log:
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )


def _check(samplers: Mapping[str, subprocess.Popen[str]], *, is_running: bool) -> None:
    for name, sampler in samplers.items():
        status = sampler.poll()
        if status or (is_running and status is not None):
            said = sampler.stderr.read().strip() if sampler.stderr else ""
            raise NoProfile(f"py-spy could not sample {name} (it needs the right to trace processes): {said}")


async def loaded(line: RunningLine, load: str, orders: int, for_s: float, folder: Path) -> dict[str, float]:
    """Put a load on the line while it is sampled; return what a task cost each service in ms, or a second at rest."""
    pids = {process.name: process.pid for process in line.supervisor.processes if process.name in SERVICES}
    async with line.client(credit_count=CREDITS) as client:
        await place(client, ORDER, _WARM_UP, 8)
        await settled(client, _WARM_UP)
        await when_quiet(line)
        with sampled(pids, folder):
            before = cpu_s(pids)
            if load == REST:
                await asyncio.sleep(for_s)
                parts = for_s
            else:
                parts = float(orders if load == FASTEST else round(float(load) * for_s))
                if load == FASTEST:
                    await place(client, ORDER, orders, 64)
                else:
                    await at_rate(client, ORDER, float(load), int(parts))
                await settled(client, _WARM_UP + int(parts))
            after = cpu_s(pids)
        if load != REST:
            await all_delivered(client, _WARM_UP + int(parts))
    return {name: (after[name] - before[name]) * 1000 / parts for name in pids}


def by_cause(profiles: Mapping[str, Profile], spent_ms: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Return the CPU by cause, then by service: its share of the samples times what the service spent."""
    return {
        cause: {name: profile.share(cause) * spent_ms[name] for name, profile in profiles.items()}
        for cause in NAMES
        if any(profile.causes[cause] for profile in profiles.values())
    }


def show(profiles: Mapping[str, Profile], spent_ms: Mapping[str, float], load: str, top: int) -> None:
    """Print the table, the most expensive cause first, and the innermost functions with the most samples."""
    unit = "ms of CPU a second, at rest" if load == REST else f"ms of CPU a task, {load}"
    samples = sum(profile.causes.total() for profile in profiles.values())
    table = Table(title=f"profile by cause: {unit}", caption=f"{samples} samples of {len(profiles)} services")
    table.add_column("cause")
    for name in ("all", *profiles):
        table.add_column(name, justify="right")
    rows = by_cause(profiles, spent_ms)
    for cause, row in sorted(rows.items(), key=lambda item: -sum(item[1].values())):
        table.add_row(cause, f"{sum(row.values()):.2f}", *(f"{row[name]:.2f}" for name in profiles))
    table.add_section()
    table.add_row("all", f"{sum(spent_ms.values()):.2f}", *(f"{spent_ms[name]:.2f}" for name in profiles))
    console = Console(width=120)
    console.print(table)
    for name, profile in profiles.items() if top else ():
        total = profile.causes.total() or 1
        console.print(f"\n{name}, innermost functions")
        for function, count in profile.functions.most_common(top):
            console.print(f"  {count / total:6.1%}  {function}", highlight=False, markup=False)


def main() -> None:
    """Start a lean line, sample it under load, print the profile."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.lean.sampling", description=__doc__)
    parser.add_argument(
        "--load", type=load_of, default=FASTEST, help="fastest, rest, or orders a second (%(default)s)"
    )
    parser.add_argument("--orders", type=at_least(1), default=600, help="with fastest (%(default)s)")
    parser.add_argument("--seconds", type=seconds, default=30.0, help="of a rate, or of rest (%(default)s)")
    parser.add_argument(
        "--top", type=at_least(0), default=0, help="innermost functions of each service to print"
    )
    given = parser.parse_args()
    stacks = FOLDER / "profile-lean"
    print("a line starts, and takes orders to warm up", file=sys.stderr)
    try:
        with tempfile.TemporaryDirectory() as folder:
            settings, profiles = lean_settings(Path(folder)), lean_profiles(Path(folder))
            with running_line(profiles=profiles, settings=settings) as line:
                spent_ms = asyncio.run(loaded(line, given.load, given.orders, given.seconds, stacks))
    except NoProfile as missing:
        sys.exit(f"profile-lean: {missing}")
    except KeyboardInterrupt:
        sys.exit("profile-lean: interrupted, nothing is reported")
    read = {
        name: read_profile((stacks / f"{name}.txt").read_text().splitlines(), str(ROOT)) for name in spent_ms
    }
    show(read, spent_ms, given.load, given.top)
    document = {"load": given.load, "unit": "ms", "by_cause": by_cause(read, spent_ms), "all": spent_ms}
    (FOLDER / "profile-lean.json").write_text(json.dumps(document, indent=1) + "\n")
    print(f"stacks: {stacks} (the form that flame graphs are drawn from)", file=sys.stderr)


if __name__ == "__main__":
    main()

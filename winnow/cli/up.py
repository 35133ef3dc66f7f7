"""`winnow up`, `down` and `demo`: the whole line on this machine, from the first server to the last one stopped."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.live import Live
from rich.table import Table

from winnow.cli.demo import ACCOUNT, ensure_account, run_orders
from winnow.cli.options import DATA_DIR, DataDir
from winnow.cli.place import PLACE_FILE, Place
from winnow.cli.trouble import INTERRUPTED, Trouble, as_sentence, command, err, out
from winnow.local.line import SHARDS, Line, LineOptions, names_of
from winnow.local.ports import PortTaken, is_free
from winnow.local.process import ServerDidNotStart, tail
from winnow.local.stack import DataDirectoryInUse, EmbeddedStack, NoDiskSpace
from winnow.local.supervisor import Supervisor, stop_other
from winnow.runtime.topics import apply_topics

_BACKGROUND_WITHIN_S: Final = 180.0
_CHECK_EVERY_S: Final = 0.5
_MARKS: Final = {"waiting": "[dim]·[/]", "starting": "[yellow]…[/]", "ready": "[green]✓[/]"}

ApiPort = Annotated[
    int,
    typer.Option(min=0, max=65535, help="Port of the API; 0 takes the last one, else 8080, else a free one."),
]


@command
def up(
    *,
    data_dir: DataDir = DATA_DIR,
    api_port: ApiPort = 0,
    demo: Annotated[bool, typer.Option("--demo/--no-demo", help="Run the two demo orders first.")] = False,
    foreground: Annotated[
        bool, typer.Option("--foreground/--background", help="Stay until Ctrl-C, or leave it running.")
    ] = True,
) -> None:
    """Start the whole line on this machine and stay until Ctrl-C, which stops every process."""
    if not foreground:
        _start_in_background(data_dir, api_port, demo=demo)
        return
    with running(data_dir, api_port) as line:
        if demo:
            asyncio.run(_orders(line.place, data_dir))
        out.print(f"\nAPI:  [bold]{line.place.api_url}[/]\ndocs: [bold]{line.place.api_url}/docs[/]")
        out.print(f"key:  api_key in {data_dir / PLACE_FILE} (account {ACCOUNT})", soft_wrap=True)
        out.print("Ctrl-C stops every process.")
        while True:
            line.check()
            time.sleep(_CHECK_EVERY_S)


@command
def demo(*, data_dir: DataDir = DATA_DIR, api_port: ApiPort = 0) -> None:
    """Start the line, run two orders to their ends, stop; exits with 0 only when both ended as promised."""
    started_s = time.monotonic()
    with running(data_dir, api_port, interrupted=INTERRUPTED) as line:
        asyncio.run(_orders(line.place, data_dir))
        line.check()
    out.print(f"Everything took {time.monotonic() - started_s:.0f} s.")


@command
def down(*, data_dir: DataDir = DATA_DIR) -> None:
    """Stop the line that runs on this data directory, wherever it was started."""
    stack = EmbeddedStack(data_dir)
    if stop_other(stack.state()):
        out.print(f"The line on {data_dir} is stopped.", markup=False)
    else:
        out.print(f"No line runs on {data_dir}.", markup=False)


class Board:
    """Shows which processes are up."""

    def __init__(self) -> None:
        """Start empty."""
        self._steps: dict[str, str] = {}
        self._live = Live(self._table(), console=out, refresh_per_second=8)

    def tell(self, name: str, step: str) -> None:
        """Note a process's step."""
        self._steps[name] = step
        self._live.update(self._table())
        if step == "ready" and not out.is_terminal:
            out.print(f"{name} ready")

    def shown(self) -> contextlib.AbstractContextManager[object]:
        """Draw the board; where lines cannot be drawn over, each process has its own when it is ready."""
        return self._live if out.is_terminal else contextlib.nullcontext()

    def _table(self) -> Table:
        table = Table.grid(padding=(0, 1))
        for name, step in self._steps.items():
            table.add_row(_MARKS[step], name, f"[dim]{step}[/]" if step != "ready" else "")
        return table


@dataclass(frozen=True, slots=True)
class Running:
    """A line that answers; ``check`` raises when one of its processes has ended on its own."""

    place: Place
    check: Callable[[], None]


@contextlib.contextmanager
def running(data_dir: Path, api_port: int, *, interrupted: int = 0) -> Iterator[Running]:
    """Run the line; stops all of it at the end. Ctrl-C and SIGTERM leave with the status ``interrupted``.

    Processes are started from the main thread only: they die with the thread that started them.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    board = Board()
    stack = EmbeddedStack(data_dir)
    supervisor = Supervisor(stack.root / "logs", board.tell)
    try:
        with board.shown():
            line = _start(stack, supervisor, board, api_port)
        place = Place(
            api_url=line.api_url,
            kafka_bootstrap=stack.addresses.kafka_bootstrap,
            ledger_grpc=line.grpc_address("ledger"),
            receiver_url=line.receiver_url,
            mongo_uri=stack.addresses.mongo_uri,
            s3_endpoint=stack.addresses.s3_endpoint,
            s3_access_key=stack.addresses.s3_access_key,
            s3_secret_key=stack.addresses.s3_secret_key,
            api_key=Place.read(data_dir).api_key,
            admin_token=line.admin_token,
        )
        place = asyncio.run(ensure_account(place))
        place.write(data_dir)

        def check() -> None:
            stack.check()
            supervisor.check()

        yield Running(place, check)
    except KeyboardInterrupt:
        raise typer.Exit(interrupted) from None
    except (PortTaken, NoDiskSpace, DataDirectoryInUse, ServerDidNotStart) as error:
        raise Trouble(as_sentence(str(error))) from error
    finally:
        _stop(stack, supervisor)


def _start(stack: EmbeddedStack, supervisor: Supervisor, board: Board, api_port: int) -> Line:
    if api_port and not is_free(api_port):
        raise PortTaken("the API", api_port)
    board.tell("servers", "starting")
    stack.start()
    board.tell("servers", "ready")
    line = Line(stack, LineOptions(api_port=api_port))
    board.tell("topics", "starting")
    asyncio.run(apply_topics(stack.addresses.kafka_bootstrap, shards=SHARDS, replicas=1))
    board.tell("topics", "ready")
    layers = line.layers()
    for name in names_of(layers):
        board.tell(name, "waiting")
    supervisor.start(layers)
    return line


def _stop(stack: EmbeddedStack, supervisor: Supervisor) -> None:
    """Stop everything; a second Ctrl-C does not interrupt it, for every wait in it ends by itself."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    if supervisor.processes or stack.processes:
        out.print("\nStopping every process ...")
    supervisor.stop()
    stack.stop()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)


def _start_in_background(data_dir: Path, api_port: int, *, demo: bool) -> None:
    """Start `winnow up` as a process of its own and wait until its API answers."""
    log = data_dir.resolve() / "logs" / "up.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    argv = [
        sys.executable,
        "-m",
        "winnow.cli.main",
        "up",
        "--data-dir",
        str(data_dir),
        "--api-port",
        str(api_port),
    ]
    with log.open("wb") as text:
        process = subprocess.Popen(
            [*argv, "--demo" if demo else "--no-demo"],
            stdin=subprocess.DEVNULL,
            stdout=text,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    before_ns = _written_at_ns(data_dir)
    deadline_s = time.monotonic() + _BACKGROUND_WITHIN_S
    with err.status("Starting ..."):
        while _written_at_ns(data_dir) == before_ns:
            if process.poll() is not None:
                raise Trouble("The line did not start: " + "\n  ".join(tail(log)))
            if time.monotonic() > deadline_s:
                process.terminate()
                raise Trouble(f"The line did not start within {_BACKGROUND_WITHIN_S:.0f} s; see {log}.")
            time.sleep(0.1)
    out.print(
        f"API:  {Place.read(data_dir).api_url}\nIt runs as process {process.pid}; `winnow down` stops it."
    )


def _written_at_ns(data_dir: Path) -> int:
    try:
        return (data_dir / PLACE_FILE).stat().st_mtime_ns
    except FileNotFoundError:
        return 0


async def _orders(place: Place, data_dir: Path) -> None:
    await run_orders(place, data_dir / "contact-sheets")

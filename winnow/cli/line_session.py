"""A line that runs as long as its context: started, announced to the other commands, stopped at the end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import typer

from winnow.adapters.topics import apply_topics
from winnow.cli.board import Board
from winnow.cli.console import out
from winnow.cli.demo import ensure_account, run_orders
from winnow.cli.environment import overrides
from winnow.cli.errors import CliError, as_sentence
from winnow.cli.line_access import LineAccess
from winnow.local.line import SERVICES, SHARDS, Line, LineOptions, names_of
from winnow.local.ports import PortTaken, is_free
from winnow.local.process import ServerDidNotStart
from winnow.local.settings import LocalSettings
from winnow.local.stack import DataDirectoryInUse, EmbeddedStack, NoDiskSpace
from winnow.local.supervisor import Care, Supervisor
from winnow.runtime.settings import SettingsError


@dataclass(frozen=True, slots=True)
class Wanted:
    """Options of a line's start; ``webhook_hosts`` are ``host:port`` pairs that webhooks may go to."""

    data_dir: Path
    api_port: int = 0
    webhook_hosts: Sequence[str] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class Running:
    """A line that answers; ``check`` raises when one of its processes was given up."""

    access: LineAccess
    check: Callable[[], None]


@contextlib.contextmanager
def running(wanted: Wanted, *, interrupted: int = 0) -> Iterator[Running]:
    """Run the line; stops all of it at the end. Ctrl-C and SIGTERM leave with the status ``interrupted``.

    A process that ends on its own is started again; one that was given up makes the exit status 1.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    board = Board()
    care = _care()
    stack = EmbeddedStack(wanted.data_dir, progress=board.tell, no_progress_s=care.no_progress_s)
    supervisor = Supervisor(stack.root / "logs", stack.tell, care=care, notice=_say, show=stack.recorder.show)
    try:
        with board.shown():
            line = _start(stack, supervisor, wanted)
        access = LineAccess(
            api_url=line.api_url,
            kafka_bootstrap=stack.addresses.kafka_bootstrap,
            ledger_grpc=line.grpc_address("ledger"),
            receiver_url=line.receiver_url,
            simulator_urls=tuple(line.simulator_url(name) for name in line.simulated),
            mongo_uri=stack.addresses.mongo_uri,
            s3_endpoint=stack.addresses.s3_endpoint,
            s3_access_key=stack.addresses.s3_access_key,
            s3_secret_key=stack.addresses.s3_secret_key,
            api_key=LineAccess.read(wanted.data_dir).api_key,
            admin_token=line.admin_token,
        )
        access = asyncio.run(ensure_account(access))
        access.write(wanted.data_dir)
        yield Running(access, supervisor.check)
    except KeyboardInterrupt:
        if names := supervisor.given_up():
            raise CliError(
                f"Given up while the line ran: {', '.join(names)}.", hint=f"See {stack.root / 'logs'}."
            ) from None
        raise typer.Exit(interrupted) from None
    except (PortTaken, NoDiskSpace, DataDirectoryInUse, ServerDidNotStart) as error:
        raise CliError(as_sentence(str(error))) from error
    finally:
        _stop(stack, supervisor)


def place_demo_orders(access: LineAccess, data_dir: Path) -> None:
    """Run the two demo orders to their ends; raises CliError for a promise that is not kept."""
    asyncio.run(run_orders(access, data_dir / "contact-sheets"))


def _start(stack: EmbeddedStack, supervisor: Supervisor, wanted: Wanted) -> Line:
    if wanted.api_port and not is_free(wanted.api_port):
        raise PortTaken("the API", wanted.api_port)
    stack.start()
    supervisor.adopt(stack.servers)
    line = _configured(stack, wanted)
    stack.tell("topics", "starting")
    asyncio.run(apply_topics(stack.addresses.kafka_bootstrap, shards=SHARDS, replicas=1))
    stack.tell("topics", "ready")
    layers = line.layers()
    for name in names_of(layers):
        stack.tell(name, "waiting")
    supervisor.start(layers)
    supervisor.watch()
    return line


def _care() -> Care:
    try:
        return LocalSettings.load().care()
    except SettingsError as error:
        raise CliError(as_sentence(str(error))) from error


def _say(sentence: str) -> None:
    out.print(sentence, markup=False, soft_wrap=True)


def _configured(stack: EmbeddedStack, wanted: Wanted) -> Line:
    """Return the line with the settings of the environment, after a note on each that it cannot take."""
    plain = Line(stack, LineOptions(api_port=wanted.api_port))
    overridden = overrides(
        os.environ, {name: plain.service(name).env for name in SERVICES}, wanted.webhook_hosts
    )
    for note in overridden.notes:
        _say(note)
    return Line(stack, LineOptions(api_port=wanted.api_port, settings=overridden.settings))


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

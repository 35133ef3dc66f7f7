"""`winnow rebuild`: makes the stores of a service again from its record."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated

import typer

from winnow.cli.audit import ARCHIVE, ArchiveAddress
from winnow.cli.errors import CliError, as_sentence, command
from winnow.cli.options import DATA_DIR, DataDir


class Rebuilt(StrEnum):
    """The services that keep something; the scorer does not."""

    ingest = "ingest"
    router = "router"
    ledger = "ledger"
    delivery = "delivery"


class Origin(StrEnum):
    """Origin of the record."""

    live = "live"
    archive = "archive"


@command
def rebuild(
    context: typer.Context,
    service: Annotated[Rebuilt, typer.Argument(help="Whose stores are made again.")],
    *,
    origin: Annotated[
        Origin, typer.Option("--from", help="archive: read an archive first, then what is live since.")
    ] = Origin.live,
    archive: ArchiveAddress = ARCHIVE,
    force: Annotated[bool, typer.Option("--force", help="Replace what is there.")] = False,
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Make the stores of a service again: folded states, views and indexes, from its journal and the topics.

    Nothing is changed while the service runs, or where the record is not sound or not whole. Stores that hold
    something are replaced only with --force. A rebuilding that was interrupted is done again with --force.

    With --from archive the journal itself is made again too, from the archive and the live journal after it.

    The service is set up by its own environment (WINNOW_LEDGER_MONGO_URI and so on). Without one, the
    embedded line of the data directory is meant, which must be down: its servers are started for the
    rebuilding.
    """
    source = context.get_parameter_source("archive")
    if origin is Origin.live and source is not None and source.name == "COMMANDLINE":
        raise CliError("--archive is read with --from archive only.")
    options = [*(["--force"] if force else []), *(["--archive", archive] if origin is Origin.archive else [])]
    if f"WINNOW_{service.name.upper()}_MONGO_URI" in os.environ:
        _run(service, os.environ, options)
        return
    from winnow.cli.line_state import STATE_FILE

    if not (data_dir / STATE_FILE).exists():
        raise CliError(
            f"There is no line in {data_dir}, and WINNOW_{service.name.upper()}_MONGO_URI is not set."
        )
    from winnow.local.line import Line
    from winnow.local.process import ServerDidNotStart
    from winnow.local.stack import DataDirectoryInUse, EmbeddedStack, NoDiskSpace

    try:
        with EmbeddedStack(data_dir) as stack:
            _run(service, os.environ | dict(Line(stack).service(service.value).env), options)
    except (NoDiskSpace, DataDirectoryInUse, ServerDidNotStart) as error:
        raise CliError(as_sentence(str(error))) from error


def _run(service: Rebuilt, env: Mapping[str, str], options: Sequence[str]) -> None:
    """Run the service's own code in a process of its own: the command line knows no service."""
    argv = [sys.executable, "-m", f"services.{service.value}.rebuild", *options]
    done = subprocess.run(argv, env=dict(env), capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["the rebuilding ended without a word"]
        raise CliError(as_sentence(lines[-1].removeprefix(f"winnow rebuild {service.value}: ")))
    typer.echo(f"{service.value} is rebuilt: {done.stdout.strip()}.")

"""Options that several commands share; each can come from the environment or from the data directory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

import typer

from winnow.cli.errors import CliError

DATA_DIR: Final = Path("var/winnow")

DataDir = Annotated[
    Path,
    typer.Option("--data-dir", envvar="WINNOW_DATA_DIR", help="Where the embedded line keeps what it needs."),
]
ApiUrl = Annotated[
    str,
    typer.Option(
        "--api-url",
        envvar="WINNOW_API_URL",
        help="The public API; empty for the embedded one.",
        show_default=False,
    ),
]
ApiKey = Annotated[
    str,
    typer.Option(
        envvar="WINNOW_API_KEY", help="Your API key; empty for the demo account's.", show_default=False
    ),
]
AdminToken = Annotated[
    str,
    typer.Option(
        envvar="WINNOW_ADMIN_TOKEN",
        help="An administrator's key or the bootstrap token; empty for the embedded one.",
        show_default=False,
    ),
]
Bootstrap = Annotated[
    str,
    typer.Option(
        "--bootstrap",
        envvar="WINNOW_KAFKA_BOOTSTRAP",
        help="Kafka, host:port; empty for the embedded one.",
        show_default=False,
    ),
]
LedgerGrpc = Annotated[
    str,
    typer.Option(
        "--ledger-grpc",
        envvar="WINNOW_LEDGER_GRPC",
        help="The ledger's gRPC, host:port; empty for the embedded one.",
        show_default=False,
    ),
]
MongoUri = Annotated[
    str,
    typer.Option(
        "--mongo-uri",
        envvar="WINNOW_MONGO_URI",
        help="The database server of the services; empty for the embedded one.",
        show_default=False,
    ),
]
S3Endpoint = Annotated[
    str,
    typer.Option(
        "--s3-endpoint",
        envvar="WINNOW_S3_ENDPOINT",
        help="The object store, as a URL; empty for the embedded one.",
        show_default=False,
    ),
]
S3AccessKey = Annotated[
    str,
    typer.Option(envvar="WINNOW_S3_ACCESS_KEY", help="Its access key.", show_default=False),
]
S3SecretKey = Annotated[
    str,
    typer.Option(envvar="WINNOW_S3_SECRET_KEY", help="Its secret key.", show_default=False),
]
Reference = Annotated[
    Path | None,
    typer.Option(
        "--reference",
        help="A picture of the same person or thing, for identity and skin tone.",
        show_default=False,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def reference_options(reference: Path | None) -> list[str]:
    """Return the job's arguments for a reference; raises CliError when there is no such file."""
    if reference is None:
        return []
    if not reference.is_file():
        raise CliError(f"There is no file {reference}.")
    return ["--reference", str(reference)]

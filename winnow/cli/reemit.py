"""`winnow reemit`: restores the record of a bus that lost everything."""

from __future__ import annotations

from typing import Annotated

import typer

from winnow.cli.errors import CliError, as_sentence, command
from winnow.cli.line_access import LineAccess, address
from winnow.cli.options import DATA_DIR, Bootstrap, DataDir, MongoUri


@command
async def reemit(
    *,
    force: Annotated[bool, typer.Option("--force", help="Send although the topics hold records.")] = False,
    bootstrap: Bootstrap = "",
    mongo_uri: MongoUri = "",
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Send every message of every journal to the topics again, after the bus lost all it held.

    All services must be down and the topics made anew (`winnow topics apply`). Afterwards the read model is made
    again (`winnow rebuild ingest --force`), and the services are started.
    """
    from winnow.audit.reemit import ReemissionRefused
    from winnow.audit.reemit import reemit as send_again
    from winnow.cli.console import err

    access = LineAccess.read(data_dir)
    kafka = address(bootstrap, access.kafka_bootstrap, "Kafka", "WINNOW_KAFKA_BOOTSTRAP", data_dir)
    database = address(mongo_uri, access.mongo_uri, "the database", "WINNOW_MONGO_URI", data_dir)
    try:
        with err.status("Sending the journals to the topics again ..."):
            count = await send_again(kafka, database, force=force)
    except ReemissionRefused as error:
        raise CliError(as_sentence(f"nothing was sent: {error}")) from error
    typer.echo(
        f"{count} messages were sent again. Next: `winnow rebuild ingest --force`, then start the services."
    )

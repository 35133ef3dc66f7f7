"""`winnow audit`: proves the record, from each of its sources alone or against the live stores."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.table import Table

from winnow.audit.anchors import Anchor, anchor_of, read_anchor, write_anchor
from winnow.audit.chains import Head
from winnow.audit.verify import Result, Verification
from winnow.cli.audit_live import LiveLine, compare_with_live, print_findings
from winnow.cli.audit_sources import read_journals, read_topics
from winnow.cli.client import Api
from winnow.cli.options import (
    DATA_DIR,
    AdminToken,
    ApiUrl,
    Bootstrap,
    DataDir,
    Json,
    LedgerGrpc,
    MongoUri,
)
from winnow.cli.place import Place, address, secret
from winnow.cli.trouble import Trouble, command, out
from winnow.contracts.errors import WinnowError

app = typer.Typer(no_args_is_help=True, help="Proof of the record.")
NOT_CHECKED: Final = 2
"""The exit status of an audit that could not look."""


class Source(StrEnum):
    """What is read."""

    live = "live"
    topics = "topics"
    journals = "journals"


AnchorFile = Annotated[
    Path | None,
    typer.Option("--anchor", help="An anchor made earlier by `winnow audit anchor`.", show_default=False),
]


@app.callback()
def audit() -> None:
    """Proof of the record."""


@app.command("verify")
@command
async def verify(  # noqa: PLR0913 (the options of a command)
    *,
    source: Annotated[
        Source, typer.Option("--from", help="Read this alone; `live` compares the topics with the services.")
    ] = Source.live,
    anchor: AnchorFile = None,
    api_url: ApiUrl = "",
    admin_token: AdminToken = "",
    bootstrap: Bootstrap = "",
    ledger_grpc: LedgerGrpc = "",
    mongo_uri: MongoUri = "",
    data_dir: DataDir = DATA_DIR,
    as_json: Json = False,
) -> None:
    """Check every chain, derive every task, verdict, route and balance again, and compare.

    From `live` (the default) the topics are folded and compared with what the services answer; while a
    difference remains that may be work in progress, it looks again, ten times at most. From `topics` or
    `journals` that source alone is read, without asking any service.

    Leaves with 0 when all is sound, 1 when something is wrong, 2 when it could not look.
    """
    kept = Place.read(data_dir)
    if source is Source.live:
        if as_json or anchor is not None:
            raise Trouble("--json and --anchor need --from topics or journals.", exit_status=NOT_CHECKED)
        url = address(api_url, kept.api_url, "the API", "WINNOW_API_URL", data_dir)
        mine = kept.admin_token if url == kept.api_url else ""
        api = Api(url, secret(admin_token, mine, "administrator's key", "WINNOW_ADMIN_TOKEN"))
        kafka = address(bootstrap, kept.kafka_bootstrap, "Kafka", "WINNOW_KAFKA_BOOTSTRAP", data_dir)
        ledger = address(ledger_grpc, kept.ledger_grpc, "the ledger", "WINNOW_LEDGER_GRPC", data_dir)
        await compare_with_live(LiveLine(api, kafka, ledger))
        return
    result = await _verified(source, _anchor(anchor), bootstrap, mongo_uri, data_dir)
    if as_json:
        out.print_json(json.dumps(result.to_document()))
    else:
        _print(result)
    raise typer.Exit(result.exit_code)


@app.command("anchor")
@command
async def anchor_heads(
    file: Annotated[
        Path, typer.Argument(help="Where to keep it: out of reach of those who keep the stores.")
    ],
    *,
    bootstrap: Bootstrap = "",
    mongo_uri: MongoUri = "",
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Write down the heads of every chain, so that a later rewriting shows.

    Only what is sound is anchored. A file that is there is not replaced.
    """
    heads: dict[str, Head] = {}
    for source in (Source.journals, Source.topics):
        result = await _verified(source, None, bootstrap, mongo_uri, data_dir)
        if result.findings:
            _print(result)
            raise Trouble(f"The {source.value} have faults, and what has faults is not anchored.")
        heads |= {one.lane: one.head for one in result.lanes}
    anchor = anchor_of(heads, datetime.now(UTC))
    with file.open("xb") as text:
        text.write(write_anchor(anchor))
    out.print(f"{len(anchor.heads)} heads are anchored in {file}.", markup=False, soft_wrap=True)


async def _verified(
    source: Source, anchor: Anchor | None, bootstrap: str, mongo_uri: str, data_dir: Path
) -> Result:
    """Read a source and verify it; raises Trouble with status 2 when it cannot be read."""
    kept = Place.read(data_dir)
    heads = anchor.by_lane() if anchor is not None else {}
    verification = Verification(
        source.value, heads, kinds=["topic"] if source is Source.topics else ["journal"]
    )
    try:
        if source is Source.topics:
            kafka = address(bootstrap, kept.kafka_bootstrap, "Kafka", "WINNOW_KAFKA_BOOTSTRAP", data_dir)
            await read_topics(kafka, verification)
        else:
            uri = address(mongo_uri, kept.mongo_uri, "the database", "WINNOW_MONGO_URI", data_dir)
            await read_journals(uri, verification)
    except Trouble as trouble:
        raise Trouble(str(trouble), exit_status=NOT_CHECKED) from trouble
    except WinnowError as error:
        raise Trouble(f"{error.detail[:1].upper()}{error.detail[1:]}.", exit_status=NOT_CHECKED) from error
    return verification.close(datetime.now(UTC))


def _anchor(file: Path | None) -> Anchor | None:
    if file is None:
        return None
    try:
        return read_anchor(file.read_bytes())
    except (OSError, ValueError) as error:
        raise Trouble(f"{file} cannot be used: {error}.", exit_status=NOT_CHECKED) from error


def _print(result: Result) -> None:
    table = Table("lane", "items", "events", "first", "last", "head", title=f"Audit from {result.source}")
    for one in result.lanes:
        numbers = (one.items_count, one.events_count, one.head.first, one.head.last)
        table.add_row(one.lane, *map(str, numbers), one.head.hash[:16])
    out.print(table)
    out.print(", ".join(f"{count} {name}" for name, count in result.counts.items()))
    for note in result.notes:
        out.print(f"[yellow]Not checked:[/] {note}.")
    if result.findings:
        print_findings(result.findings)
        out.print(f"The audit found {len(result.findings)} faults.")
    elif result.exit_code == 0:
        out.print("[bold green]It is sound.[/]")
    elif not result.lanes:
        out.print("There is nothing to check.")

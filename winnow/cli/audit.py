"""`winnow audit`: proves the record, from each of its sources alone or against the live stores."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Final

import typer
from rich.table import Table

from winnow.audit.anchors import anchor_of, read_anchor, write_anchor
from winnow.audit.archive_verify import verify_archive
from winnow.audit.chains import Head
from winnow.audit.verify import Result, Verification
from winnow.cli.audit_archive import archive_new
from winnow.cli.audit_live import LiveLine, compare_with_live, print_findings
from winnow.cli.audit_places import NOT_CHECKED, Where, looking
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
    S3AccessKey,
    S3Endpoint,
    S3SecretKey,
)
from winnow.cli.place import Place, address, secret
from winnow.cli.trouble import Trouble, command, out

app = typer.Typer(no_args_is_help=True, help="Proof of the record.")
CORES: Final = len(os.sched_getaffinity(0))


class Source(StrEnum):
    """What is read."""

    live = "live"
    topics = "topics"
    journals = "journals"
    archive = "archive"


AnchorAddress = Annotated[
    str,
    typer.Option("--anchor", help="An anchor made earlier by `winnow audit anchor`.", show_default=False),
]
ARCHIVE: Final = "s3://winnow-private/archive"
ArchiveAddress = Annotated[
    str,
    typer.Option(
        "--archive", envvar="WINNOW_ARCHIVE", help="Where the archive is: s3://bucket/prefix, or a folder."
    ),
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
    anchor: AnchorAddress = "",
    archive: ArchiveAddress = ARCHIVE,
    processes: Annotated[int, typer.Option(min=1, help="Processes that verify an archive.")] = CORES,
    api_url: ApiUrl = "",
    admin_token: AdminToken = "",
    bootstrap: Bootstrap = "",
    ledger_grpc: LedgerGrpc = "",
    mongo_uri: MongoUri = "",
    s3_endpoint: S3Endpoint = "",
    s3_access_key: S3AccessKey = "",
    s3_secret_key: S3SecretKey = "",
    data_dir: DataDir = DATA_DIR,
    as_json: Json = False,
) -> None:
    """Check every chain, derive every task, verdict, route and balance again, and compare.

    From `live` (the default) the topics are folded and compared with what the services answer; while a
    difference remains that may be work in progress, it looks again, ten times at most. From `topics`,
    `journals` or `archive` that source alone is read, without asking any service.

    Leaves with 0 when all is sound, 1 when something is wrong, 2 when it could not look.
    """
    kept = Place.read(data_dir)
    if source is Source.live:
        if as_json or anchor:
            raise Trouble(
                "--json and --anchor need --from topics, journals or archive.", exit_status=NOT_CHECKED
            )
        url = address(api_url, kept.api_url, "the API", "WINNOW_API_URL", data_dir)
        mine = kept.admin_token if url == kept.api_url else ""
        api = Api(url, secret(admin_token, mine, "administrator's key", "WINNOW_ADMIN_TOKEN"))
        kafka = address(bootstrap, kept.kafka_bootstrap, "Kafka", "WINNOW_KAFKA_BOOTSTRAP", data_dir)
        ledger = address(ledger_grpc, kept.ledger_grpc, "the ledger", "WINNOW_LEDGER_GRPC", data_dir)
        await compare_with_live(LiveLine(api, kafka, ledger))
        return
    where = Where(bootstrap, mongo_uri, s3_endpoint, s3_access_key, s3_secret_key, data_dir)
    with looking():
        heads = read_anchor(await where.read(anchor)).by_lane() if anchor else {}
        if source is Source.archive:
            place = where.place(archive)
            result = await verify_archive(place, heads, datetime.now(UTC), processes=processes)
        else:
            result = await _verified(source, heads, where)
    if as_json:
        out.print_json(json.dumps(result.to_document()))
    else:
        print_result(result)
    raise typer.Exit(result.exit_code)


@app.command("anchor")
@command
async def anchor_heads(
    target: Annotated[
        str,
        typer.Argument(help="Where to keep it, out of reach of those who keep the stores: a file, or s3://…"),
    ],
    *,
    bootstrap: Bootstrap = "",
    mongo_uri: MongoUri = "",
    s3_endpoint: S3Endpoint = "",
    s3_access_key: S3AccessKey = "",
    s3_secret_key: S3SecretKey = "",
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Write down the heads of every chain, so that a later rewriting shows.

    Only what is sound is anchored. An anchor that is there is not replaced.
    """
    where = Where(bootstrap, mongo_uri, s3_endpoint, s3_access_key, s3_secret_key, data_dir)
    heads: dict[str, Head] = {}
    with looking():
        for source in (Source.journals, Source.topics):
            result = await _verified(source, {}, where)
            if result.findings:
                print_result(result)
                out.print("What has faults is not anchored.")
                raise typer.Exit(1)
            heads |= {one.lane: one.head for one in result.lanes}
        anchor = anchor_of(heads, datetime.now(UTC))
        await where.write(target, write_anchor(anchor))
    out.print(f"{len(anchor.heads)} heads are anchored in {target}.", markup=False, soft_wrap=True)


@app.command("archive")
@command
async def archive_record(
    *,
    archive: ArchiveAddress = ARCHIVE,
    bootstrap: Bootstrap = "",
    mongo_uri: MongoUri = "",
    s3_endpoint: S3Endpoint = "",
    s3_access_key: S3AccessKey = "",
    s3_secret_key: S3SecretKey = "",
    data_dir: DataDir = DATA_DIR,
) -> None:
    """Archive what is new in the journals and the topics. Run it again whenever you like, one at a time.

    Every item is checked against its chain first; what does not continue the archived chain is not archived.
    """
    where = Where(bootstrap, mongo_uri, s3_endpoint, s3_access_key, s3_secret_key, data_dir)
    with looking():
        async with where.place(archive).open() as shelf:
            done = await archive_new(shelf, where.database(), where.kafka())
    text = f"{done.items_count} items in {done.segments_count} segments are new in {archive}"
    out.print(f"{text} ({done.manifests_count} manifests).", markup=False, soft_wrap=True)
    for one in done.lost:
        out.print(f"[yellow]Lost:[/] {one}.")
    if done.lost:
        raise typer.Exit(1)


async def _verified(source: Source, heads: Mapping[str, Head], where: Where) -> Result:
    kinds = ["topic"] if source is Source.topics else ["journal"]
    verification = Verification(source.value, heads, kinds=kinds)
    if source is Source.topics:
        return await read_topics(where.kafka(), verification)
    return await read_journals(where.database(), verification)


def print_result(result: Result) -> None:
    """Print what an audit read and found."""
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

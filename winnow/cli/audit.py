"""`winnow audit`: proves the record, from each of its sources alone or against the live stores."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from winnow.cli.errors import CliError, command
from winnow.cli.lazy import group
from winnow.cli.line_access import LineAccess, address, secret
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

if TYPE_CHECKING:
    from winnow.audit.chains import Head
    from winnow.audit.profiles import Profiles
    from winnow.audit.verify import Result
    from winnow.cli.audit_places import Where

app = group("Proof of the record.")
CORES: Final = len(os.sched_getaffinity(0))
_PAUSE_S: Final = 1.0


class Source(StrEnum):
    """Source of an audit."""

    live = "live"
    topics = "topics"
    journals = "journals"
    archive = "archive"


AnchorAddress = Annotated[
    str,
    typer.Option("--anchor", help="An anchor made earlier by `winnow audit anchor`.", show_default=False),
]
ProfileDirs = Annotated[
    list[Path] | None,
    typer.Option(
        "--profiles",
        help="A directory of quality profiles beside the shipped ones, to judge verdicts by; may be repeated.",
        exists=True,
        file_okay=False,
        show_default=False,
    ),
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
    processes: Annotated[
        int, typer.Option(min=1, show_default="every core", help="Processes that verify an archive.")
    ] = CORES,
    profile_dirs: ProfileDirs = None,
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

    From `live` (the default) the topics are folded and compared with what the services answer. While a
    difference remains that may be work in progress, it looks again, ten times at most. From `topics`,
    `journals` or `archive` that source alone is read, without asking any service.

    Leaves with 0 when all is sound, 1 when something is wrong, 2 when it could not look.
    """
    from winnow.cli.audit_places import NOT_CHECKED, Where, looking

    access = LineAccess.read(data_dir)
    profiles = _profiles(profile_dirs)
    if source is Source.live:
        from winnow.cli.audit_live import LiveLine, compare_with_live
        from winnow.cli.client import Api

        if as_json or anchor:
            raise CliError(
                "--json and --anchor need --from topics, journals or archive.", exit_status=NOT_CHECKED
            )
        url = address(api_url, access.api_url, "the API", "WINNOW_API_URL", data_dir)
        mine = access.admin_token if url == access.api_url else ""
        api = Api(url, secret(admin_token, mine, "administrator's key", "WINNOW_ADMIN_TOKEN"))
        kafka = address(bootstrap, access.kafka_bootstrap, "Kafka", "WINNOW_KAFKA_BOOTSTRAP", data_dir)
        ledger = address(ledger_grpc, access.ledger_grpc, "the ledger", "WINNOW_LEDGER_GRPC", data_dir)
        await compare_with_live(LiveLine(api, kafka, ledger), profiles)
        return
    where = Where(bootstrap, mongo_uri, s3_endpoint, s3_access_key, s3_secret_key, data_dir)
    from winnow.audit.anchors import read_anchor
    from winnow.cli.audit_report import print_result

    with looking():
        heads = read_anchor(await where.read(anchor)).by_lane() if anchor else {}
        if source is Source.archive:
            from winnow.audit.archive_verify import verify_archive

            location = where.location(archive)
            result = await verify_archive(
                location, heads, datetime.now(UTC), profiles=profiles, processes=processes
            )
        else:
            result = await _verified(source, heads, where, profiles)
    if as_json:
        typer.echo(json.dumps(result.to_document(), indent=2))
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
    profile_dirs: ProfileDirs = None,
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
    from winnow.audit.anchors import anchor_of, write_anchor
    from winnow.cli.audit_places import Where, looking
    from winnow.cli.audit_report import print_result

    where = Where(bootstrap, mongo_uri, s3_endpoint, s3_access_key, s3_secret_key, data_dir)
    heads: dict[str, Head] = {}
    with looking():
        for source in (Source.journals, Source.topics):
            result = await _verified(source, {}, where, _profiles(profile_dirs))
            if result.findings:
                print_result(result)
                typer.echo("What has faults is not anchored.")
                raise typer.Exit(1)
            heads |= {lane.lane: lane.head for lane in result.lanes}
        anchor = anchor_of(heads, datetime.now(UTC))
        await where.write(target, write_anchor(anchor))
    typer.echo(f"{len(anchor.heads)} heads are anchored in {target}.")


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
    from winnow.cli.audit_archive import archive_new
    from winnow.cli.audit_places import Where, looking

    where = Where(bootstrap, mongo_uri, s3_endpoint, s3_access_key, s3_secret_key, data_dir)
    with looking():
        async with where.location(archive).open() as store:
            done = await archive_new(store, where.database(), where.kafka())
    text = f"{done.items_count} items in {done.segments_count} segments are new in {archive}"
    typer.echo(f"{text} ({done.manifests_count} manifests).")
    for lost in done.lost:
        typer.secho("Lost:", fg="yellow", nl=False)
        typer.echo(f" {lost}.")
    if done.lost:
        raise typer.Exit(1)


def _profiles(directories: list[Path] | None) -> Profiles:
    """Read the shipped profile versions and those of the given directories."""
    from winnow.audit.profiles import SHIPPED, read_profiles
    from winnow.cli.audit_places import looking

    with looking():
        return read_profiles([SHIPPED, *(directories or [])])


async def _verified(source: Source, heads: Mapping[str, Head], where: Where, profiles: Profiles) -> Result:
    """Verify the topics or the journals alone; raises Unavailable.

    An event and its counterpart in the other topic are not read at one moment. While there are faults and new
    records come, the topics are therefore read on.
    """
    import asyncio

    from winnow.audit.sources import JournalSource, TopicSource
    from winnow.audit.verify import RecordJudge, Verifier

    judge = RecordJudge(profiles)
    if source is Source.journals:
        verifier = Verifier(source.value, judge, heads, kinds=["journal"])
        async with JournalSource.at(where.database()) as journals:
            await verifier.read(journals)
        return verifier.close(datetime.now(UTC))
    verifier = Verifier(source.value, judge, heads, kinds=["topic"])
    async with TopicSource.at(where.kafka()) as topics:
        while True:
            count = await verifier.read(topics)
            result = verifier.close(datetime.now(UTC))
            if result.exit_code == 0 or count == 0:
                return result
            await asyncio.sleep(_PAUSE_S)

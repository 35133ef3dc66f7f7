"""`winnow up`, `down` and `demo`: the whole line on this machine, from the first server to the last process stopped."""

from __future__ import annotations

import time
from typing import Annotated, Final

import typer

from winnow.cli.errors import INTERRUPTED, command
from winnow.cli.options import DATA_DIR, DataDir

_REST_S: Final = 0.5

ApiPort = Annotated[
    int,
    typer.Option(min=0, max=65535, help="Port of the API; 0 takes the last one, else 8080, else a free one."),
]
WebhookHosts = Annotated[
    list[str] | None,
    typer.Option(
        "--webhook-host",
        metavar="HOST[:PORT]",
        help="A host that webhooks may go to although it is not public, loopback and http included; repeatable.",
    ),
]


@command
def up(
    *,
    data_dir: DataDir = DATA_DIR,
    api_port: ApiPort = 0,
    webhook_host: WebhookHosts = None,
    demo: Annotated[bool, typer.Option("--demo/--no-demo", help="Run the two demo orders first.")] = False,
    foreground: Annotated[
        bool, typer.Option("--foreground/--background", help="Stay until Ctrl-C, or leave it running.")
    ] = True,
    detached: Annotated[bool, typer.Option("--detached", hidden=True)] = False,
) -> None:
    """Start the whole line on this machine and stay until Ctrl-C, which stops every process.

    A service takes its settings from this environment (WINNOW_DELIVERY_RETENTION_S and so on); a setting that
    the embedded line cannot take is named at the start.
    """
    from winnow.cli.environment import places_of

    places = [access for host in webhook_host or () for access in places_of(host)]
    if not foreground:
        from winnow.cli.background import start_in_background

        hosts = [f"--webhook-host={host}" for host in webhook_host or ()]
        orders = "--demo" if demo else "--no-demo"
        start_in_background(data_dir, ["--detached", "--api-port", str(api_port), orders, *hosts])
        return
    from winnow.cli.console import out
    from winnow.cli.demo import ACCOUNT
    from winnow.cli.line_access import ACCESS_FILE
    from winnow.cli.line_session import Wanted, place_demo_orders, running

    with running(Wanted(data_dir, api_port, places)) as line:
        if demo:
            place_demo_orders(line.access, data_dir)
        out.print(f"\nAPI:  [bold]{line.access.api_url}[/]\ndocs: [bold]{line.access.api_url}/docs[/]")
        out.print(f"key:  api_key in {data_dir / ACCESS_FILE} (account {ACCOUNT})", soft_wrap=True)
        out.print("`winnow down` stops every process." if detached else "Ctrl-C stops every process.")
        while True:
            time.sleep(_REST_S)


@command
def demo(*, data_dir: DataDir = DATA_DIR, api_port: ApiPort = 0) -> None:
    """Start the line, run two orders to their ends, stop; exits with 0 only when both ended as promised."""
    from winnow.cli.console import out
    from winnow.cli.line_session import Wanted, place_demo_orders, running

    started_s = time.monotonic()
    with running(Wanted(data_dir, api_port), interrupted=INTERRUPTED) as line:
        line.check()
        place_demo_orders(line.access, data_dir)
        line.check()
    out.print(f"Everything took {time.monotonic() - started_s:.0f} s.")


@command
def down(*, data_dir: DataDir = DATA_DIR) -> None:
    """Stop the line that runs on this data directory, wherever it was started."""
    from winnow.cli.line_state import read_state
    from winnow.local.supervisor import stop_other

    if stop_other(read_state(data_dir)):
        typer.echo(f"The line on {data_dir} is stopped.")
    else:
        typer.echo(f"No line runs on {data_dir}.")

"""The entry point of the `winnow` command."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from winnow.cli.lazy import Entry, lazy_group

SECTIONS: Final = {
    "The line on this machine": {
        "up": Entry("winnow.cli.up", "up", "Start the whole line on this machine."),
        "status": Entry("winnow.cli.status", "status", "Show every process of the line on this machine."),
        "logs": Entry("winnow.cli.logs", "logs", "Show the newest lines of the logs."),
        "demo": Entry("winnow.cli.up", "demo", "Start the line, run two orders to their ends, stop."),
        "down": Entry("winnow.cli.up", "down", "Stop the line."),
    },
    "Orders": {
        "submit": Entry("winnow.cli.submit", "submit", "Order K outputs and follow the task to its end."),
        "watch": Entry("winnow.cli.submit", "watch", "Follow a task to its end."),
        "tasks": Entry("winnow.cli.tasks", "app", "Tasks: list, cancel, bill, download."),
        "account": Entry("winnow.cli.account", "account", "Show the balance of your account."),
        "webhooks": Entry("winnow.cli.webhooks", "app", "Webhooks: endpoints, deliveries, redelivery."),
    },
    "Administration": {
        "keys": Entry("winnow.cli.keys", "app", "API keys: create, list, revoke."),
        "grant": Entry("winnow.cli.account", "grant", "Grant credits to an account."),
    },
    "The record": {
        "audit": Entry("winnow.cli.audit", "app", "Proof of the record."),
        "rebuild": Entry("winnow.cli.rebuild", "rebuild", "Make the stores of a service again."),
        "reemit": Entry(
            "winnow.cli.reemit", "reemit", "Send every message of every journal to the topics again."
        ),
        "dlq": Entry("winnow.cli.dlq", "app", "Dead letters: list them, show one, send them back."),
        "topics": Entry("winnow.cli.topics", "app", "The topics of a deployment."),
    },
    "Quality": {
        "score": Entry("winnow.cli.score", "score", "Score pictures with the scorer's own measures."),
        "calibrate": Entry("winnow.cli.calibrate", "calibrate", "Fit the limits of a profile."),
        "profiles": Entry("winnow.cli.profiles", "app", "Quality profiles: list, check a file."),
    },
}
"""Every command with its place: `winnow --help` is written from this table alone."""

app = typer.Typer(
    name="winnow",
    cls=lazy_group(SECTIONS),
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_show_locals=False,
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"winnow {version('winnow-media')}")
        raise typer.Exit


@app.callback()
def winnow(
    *,
    version: Annotated[  # noqa: ARG001 (its callback has answered)
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Run the assembly line for generative media: order K good outputs, pay only for what is delivered."""
    import logging

    # Commands say in their own sentence what went wrong; the client's log lines would only repeat it.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


if __name__ == "__main__":
    app()

"""The entry point of the `winnow` command."""

from __future__ import annotations

from typing import Annotated, Final

import typer

from winnow.cli.lazy import LazyCommand, lazy_group

SECTIONS: Final = {
    "The line on this machine": {
        "up": LazyCommand("winnow.cli.up", "up", "Start the whole line on this machine."),
        "status": LazyCommand(
            "winnow.cli.status", "status", "Show every process of the line on this machine."
        ),
        "logs": LazyCommand("winnow.cli.logs", "logs", "Show the newest lines of the logs."),
        "demo": LazyCommand("winnow.cli.up", "demo", "Start the line, run two orders to their ends, stop."),
        "down": LazyCommand("winnow.cli.up", "down", "Stop the line."),
    },
    "Orders": {
        "submit": LazyCommand(
            "winnow.cli.submit", "submit", "Order K outputs and follow the task to its end."
        ),
        "watch": LazyCommand("winnow.cli.submit", "watch", "Follow a task to its end."),
        "tasks": LazyCommand("winnow.cli.tasks", "app", "Tasks: list, cancel, bill, download."),
        "account": LazyCommand("winnow.cli.account", "account", "Show the balance of your account."),
        "webhooks": LazyCommand("winnow.cli.webhooks", "app", "Webhooks: endpoints, deliveries, redelivery."),
    },
    "Administration": {
        "keys": LazyCommand("winnow.cli.keys", "app", "API keys: create, list, revoke."),
        "grant": LazyCommand("winnow.cli.account", "grant", "Grant credits to an account."),
    },
    "The record": {
        "audit": LazyCommand("winnow.cli.audit", "app", "Proof of the record."),
        "rebuild": LazyCommand("winnow.cli.rebuild", "rebuild", "Make the stores of a service again."),
        "reemit": LazyCommand(
            "winnow.cli.reemit", "reemit", "Send every message of every journal to the topics again."
        ),
        "dlq": LazyCommand("winnow.cli.dlq", "app", "Dead letters: list them, show one, send them back."),
        "topics": LazyCommand("winnow.cli.topics", "app", "The topics of a deployment."),
    },
    "Quality": {
        "score": LazyCommand("winnow.cli.score", "score", "Score pictures with the scorer's own measures."),
        "calibrate": LazyCommand("winnow.cli.calibrate", "calibrate", "Fit the limits of a profile."),
        "profiles": LazyCommand("winnow.cli.profiles", "app", "Quality profiles: list, check a file."),
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

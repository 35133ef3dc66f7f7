"""The entry point of the `winnow` command."""

from __future__ import annotations

import logging

import typer

from winnow.cli import audit, calibrate, dlq, keys, profiles, rebuild, reemit, score, tasks, topics, up

app = typer.Typer(
    name="winnow",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)


@app.callback()
def quiet() -> None:
    """The assembly line for generative media: order K good outputs, pay only for what is delivered."""
    # Commands say in their own sentence what went wrong; the client's log lines would only repeat it.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


app.command("up")(up.up)
app.command("down")(up.down)
app.command("demo")(up.demo)
app.command("rebuild")(rebuild.rebuild)
app.command("reemit")(reemit.reemit)
app.command("submit")(tasks.submit)
app.command("watch")(tasks.watch)
app.command("score")(score.score)
app.command("calibrate")(calibrate.calibrate)
app.add_typer(profiles.app, name="profiles")
app.add_typer(topics.app, name="topics")
app.add_typer(keys.app, name="keys")
app.add_typer(dlq.app, name="dlq")
app.add_typer(audit.app, name="audit")

if __name__ == "__main__":
    app()

"""Commands that are imported when they are called, so that a command pays for its own imports alone."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any, Final

import typer
from typer.core import TyperGroup

SETTINGS: Final[Mapping[str, Any]] = {"rich_markup_mode": None, "add_completion": False}
"""For every Typer of a command: plain help, which needs no import of rich."""


@dataclass(frozen=True, slots=True)
class LazyCommand:
    """A command by the place of its function or Typer, with the first sentence of its help."""

    module: str
    attribute: str
    summary: str


Sections = Mapping[str, Mapping[str, LazyCommand]]
"""The commands by heading, then by name, in the order of the help."""


def group(summary: str) -> typer.Typer:
    """Return an empty group of commands."""
    return typer.Typer(no_args_is_help=True, help=summary, **SETTINGS)


def load(name: str, entry: LazyCommand) -> Any:
    """Import a command and return it, built."""
    found = getattr(importlib.import_module(entry.module), entry.attribute)
    if not isinstance(found, typer.Typer):
        single = typer.Typer(**SETTINGS)
        single.command(name)(found)
        found = single
    built = typer.main.get_command(found)
    built.name = name
    return built


class LazyCommands(MutableMapping[str, Any]):
    """The commands of a group by name; each is imported when it is asked for."""

    def __init__(self, entries: Mapping[str, LazyCommand]) -> None:
        """Import nothing yet."""
        self._entries = dict(entries)
        self._built: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        """Return a command, imported on the first call; raises KeyError for an unknown name."""
        if name not in self._built:
            self._built[name] = load(name, self._entries[name])
        return self._built[name]

    def __setitem__(self, name: str, command: Any) -> None:
        """Add a command that is built already."""
        self._built[name] = command

    def __delitem__(self, name: str) -> None:
        """Remove a command."""
        del self._entries[name]

    def __iter__(self) -> Iterator[str]:
        """Yield the names, without importing anything."""
        return iter(self._entries)

    def __len__(self) -> int:
        """Return the number of commands."""
        return len(self._entries)


def lazy_group(sections: Sections) -> type[TyperGroup]:
    """Return a class of group that shows these commands in sections and imports each when it is called."""

    class LazyGroup(TyperGroup):
        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.commands = LazyCommands(
                {name: entry for entries in sections.values() for name, entry in entries.items()}
            )

        def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002 (the library's signature)
            return list(self.commands)

        def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002 (as above)
            for title, entries in sections.items():
                with formatter.section(title):
                    formatter.write_dl([(name, entry.summary) for name, entry in entries.items()])

    return LazyGroup

"""Rows beside the journal that find tasks by account, delivery and age."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class KeptOutputs:
    """The objects of a task, for the sweep."""

    task_id: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Redelivery:
    """A redelivery that somebody asked for at a process that does not own the task."""

    task_id: str
    delivery_id: str

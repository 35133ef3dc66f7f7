"""The JSON schemas of everything that is written down: messages, the events of journals, and stored states."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from scripts.journals import deciders
from winnow.contracts.envelope import Envelope, Message
from winnow.contracts.topics import MESSAGES


def events_schema() -> str:
    """Return the JSON schema of every message that travels."""
    return as_json(_messages((*MESSAGES.values(), Envelope), "Winnow events and commands"))


def journal_events_schema() -> str:
    """Return the JSON schema of every event that stays in a journal."""
    models = [model for decider in deciders().values() for model in decider.private_events]
    return as_json(_messages(models, "Winnow events of the journals"))


def journal_states_schema() -> str:
    """Return the version and the JSON schema of the state of every journal."""
    return as_json(
        {
            name: {
                "version": decider.state_version,
                "schema": TypeAdapter(decider.state_type).json_schema(mode="serialization") | {"$id": name},
            }
            for name, decider in deciders().items()
        }
    )


def as_json(document: dict[str, Any]) -> str:
    """Write a generated document in its fixed form."""
    return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def _messages(models: Iterable[type[Message | Envelope]], title: str) -> dict[str, Any]:
    """Return the schema as producers write it: defaults are always written."""
    pairs: list[tuple[Any, Any]] = [(model, "serialization") for model in models]
    _, document = models_json_schema(pairs, title=title)
    for definition in document["$defs"].values():
        if definition.get("type") == "object" and "properties" in definition:
            definition["required"] = sorted(definition["properties"])
    return document

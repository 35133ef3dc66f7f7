"""Write the generated documents below docs/, or with --check tell which are stale.

Event schemas, AsyncAPI and topic cards come from the contracts, OpenAPI from ingest's routes, the state
machine from its table. Settings and metrics come from their declarations, the command line from its help,
tables of figures from their CSV files.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import PydanticUndefined

from scripts.alerts import prometheus_rule, runbook
from scripts.command_page import command_page
from scripts.figure_tables import PAGES, page_with_tables
from scripts.metrics import metrics_page
from scripts.schemas import as_json, events_schema, journal_events_schema, journal_states_schema
from winnow.contracts.states import ENDS, OWNERS, TRANSITIONS
from winnow.contracts.topics import CONSUMER_GROUPS, MESSAGES, PRODUCERS, TOPICS, dead_letter_topics, group_of

ROOT = Path(__file__).resolve().parent.parent
SERVICES = ("ingest", "router", "scorer", "ledger", "delivery")


def asyncapi(service: str) -> str:
    """Return the AsyncAPI document of a service: what it reads by its table, what it writes by the contracts."""
    room = importlib.import_module(f"services.{service}.bus")
    reads = sorted(room.READS if hasattr(room, "READS") else room.TABLE)
    writes = sorted(name for name, producers in PRODUCERS.items() if service in producers)
    channels = {
        topic.name: {
            "address": topic.name,
            "description": topic.holds,
            "messages": {
                name: {"$ref": f"#/components/messages/{name}"}
                for name in sorted({*reads, *writes})
                if _topic_of(name) == topic.name
            },
        }
        for topic in TOPICS
        if any(_topic_of(name) == topic.name for name in (*reads, *writes))
    }
    operations = {
        f"{action}.{name}": {
            "action": action,
            "channel": {"$ref": f"#/channels/{_pointer(_topic_of(name))}"},
            "messages": [{"$ref": f"#/channels/{_pointer(_topic_of(name))}/messages/{name}"}],
        }
        for action, names in (("receive", reads), ("send", writes))
        for name in names
    }
    messages = {
        name: {
            "name": name,
            "summary": (MESSAGES[name].__doc__ or "").splitlines()[0],
            "contentType": "application/json",
            "payload": {"$ref": f"events.schema.json#/$defs/{MESSAGES[name].__name__}"},
        }
        for name in sorted({*reads, *writes})
    }
    return as_json(
        {
            "asyncapi": "3.0.0",
            "info": {"title": f"Winnow {service}", "version": "1", "description": _first_line(service)},
            "channels": channels,
            "operations": operations,
            "components": {"messages": messages},
        }
    )


def openapi() -> str:
    """Return the OpenAPI document of the public API."""
    return as_json(importlib.import_module("services.ingest.api").openapi_document())


def topics_card() -> str:
    """Return the topics page."""
    lines = [
        "# Topics",
        "",
        "Generated from `winnow/contracts/topics.py`; every topic has one partition a shard.",
        "",
        "| topic | kept by the broker | kept by the archive |",
        "|---|---|---|",
        *(
            f"| `{card.name}` | {card.retention_s // 86_400} days | {'without end' if card.archived else 'no'} |"
            for card in TOPICS
        ),
        "| dead letters | as their source | no |",
        "",
        "The record is archived by `winnow audit archive` ([the audit](audit.md)); run it well within the days that the",
        "broker keeps it. Requests are not: what came of them is in the record.",
        "",
    ]
    for topic in TOPICS:
        readers = ", ".join(
            f"`{group_of(name)}`" for name, topics in CONSUMER_GROUPS.items() if topic in topics
        )
        writers, days = ", ".join(topic.written_by), topic.retention_s // 86_400
        types = ", ".join(f"`{name}`" for name in MESSAGES if _topic_of(name) == topic.name)
        lines += [
            f"## {topic.name}",
            "",
            f"{topic.holds.capitalize()}.",
            "",
            "| key | written by | consumer groups | retention | largest message |",
            "|---|---|---|---|---|",
            f"| `{topic.key}` | {writers} | {readers} | {days} days | {topic.message_max_bytes} bytes |",
            "",
            f"Types: {types}.",
            "",
        ]
    lines += ["## Dead letters", "", *(f"* `{name}`" for name in dead_letter_topics()), ""]
    return "\n".join(lines)


def state_machine() -> str:
    """Return the state machine page: a drawing and the table, both from the contracts."""
    moves: dict[tuple[str, str], list[str]] = {}
    for (state, event), after in TRANSITIONS.items():
        if state != after:
            moves.setdefault((state or "[*]", after), []).append(event)
    lines = [
        "# The states of a task",
        "",
        "Generated from the one table in `winnow/contracts/states.py`. Who may end a task from where: "
        + "; ".join(f"{service} from {' or '.join(states)}" for service, states in OWNERS.items())
        + ".",
        "",
        "```mermaid",
        "stateDiagram-v2",
        *(f"    {before} --> {after}: {', '.join(events)}" for (before, after), events in moves.items()),
        *(f"    {end} --> [*]" for end in sorted(ENDS)),
        "```",
        "",
        "| state | event | next state |",
        "|---|---|---|",
        *(f"| {state or '(none)'} | `{event}` | {after} |" for (state, event), after in TRANSITIONS.items()),
        "",
    ]
    return "\n".join(lines)


def settings_page() -> str:
    """Return the settings page of all services and of the embedded line."""
    lines = [
        "# Settings",
        "",
        "Generated from each service's `settings.py`, and from that of the [embedded line](local-line.md). An unknown",
        "`WINNOW_<SERVICE>_*` or `WINNOW_LOCAL_*` is an error.",
        "",
    ]
    rooms = [(room, f"services.{room}.settings") for room in SERVICES] + [("local", "winnow.local.settings")]
    for room, module in rooms:
        settings: Any = getattr(importlib.import_module(module), f"{room.capitalize()}Settings")
        prefix = settings.model_config["env_prefix"]
        lines += [f"## {room}", "", "| variable | default | meaning |", "|---|---|---|"]
        for name, field in sorted(settings.model_fields.items()):
            default = (
                "**required**"
                if field.default is PydanticUndefined and not field.default_factory
                else _default(field)
            )
            lines.append(f"| `{(prefix + name).upper()}` | {default} | {field.description or ''} |")
        lines.append("")
    return "\n".join(lines)


def dimensions_page() -> str:
    """Return the table of all dimensions.

    The register, what each answers for, and its limits in the newest profiles.
    """
    register = importlib.import_module("services.scorer.dimensions")
    catalog = importlib.import_module("services.scorer.clients.profiles")
    rules = importlib.import_module("services.scorer.clients.rules").CelRules()
    profiles = catalog.load_profiles(catalog.BUILT_IN, rules)
    newest = [profiles.get(name) for name in sorted({profile.name for profile in profiles.all()})]
    lines = [
        "# Dimensions",
        "",
        (
            "Generated from the scorer's register and profiles. A limit is where the score is 50; in brackets it is reported"
            " and not required. What the measures find on pictures of known truth stands in [quality](quality.md)."
        ),
        "",
        "| dimension | tier | unit | formula | source | no value when | models | limits | limits set on |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for name, dimension in register.DIMENSIONS.items():
        doc = register.DIMENSION_DOCS[name]
        limits = "; ".join(
            _limit(profile, rule)
            for profile in newest
            for rule in profile.dimensions
            if rule.name == name and name != "near_duplicate"
        )
        cells = (
            f"`{name}`",
            str(dimension.tier),
            dimension.unit,
            doc.formula,
            doc.source,
            doc.not_ok,
            ", ".join(f"`{need}`" for need in dimension.needs),
            limits,
            doc.calibration,
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join([*lines, ""])


def _limit(profile: Any, rule: Any) -> str:
    raw = rule.mapping.raw_at(rule.threshold)
    sign = "=" if rule.mapping.exactly is not None else "≥" if rule.mapping.rises else "≤"
    text = f"{profile.name} {sign} {raw:.4g}"
    return text if rule.required else f"[{text}]"


DOCUMENTS: dict[str, Callable[[], str]] = {
    "docs/api/events.schema.json": events_schema,
    "docs/api/journal.events.schema.json": journal_events_schema,
    "docs/api/journal.states.schema.json": journal_states_schema,
    "docs/api/openapi.ingest.json": openapi,
    "docs/cli.md": command_page,
    "docs/topics.md": topics_card,
    "docs/state-machine.md": state_machine,
    "docs/settings.md": settings_page,
    "docs/metrics.md": metrics_page,
    "docs/dimensions.md": dimensions_page,
    "docs/runbook.md": runbook,
    "deploy/k8s/components/alerts/prometheusrule.yaml": prometheus_rule,
    **{f"docs/api/asyncapi.{service}.json": partial(asyncapi, service) for service in SERVICES},
    **{page: partial(page_with_tables, page) for page in PAGES},
}


def main() -> None:
    """Write, or compare."""
    stale = []
    for path, make in DOCUMENTS.items():
        target, text = ROOT / path, make()
        if "--check" not in sys.argv:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        elif not target.exists() or target.read_text() != text:
            stale.append(path)
    if stale:
        sys.exit("stale documents, run `make docs`: " + ", ".join(stale))


def _topic_of(name: str) -> str:
    for topic in TOPICS:
        if topic.name == _ROUTES[name]:
            return topic.name
    raise KeyError(name)


def _route_names() -> dict[str, str]:
    from winnow.contracts import commands, events

    routes = {event_type.type_name(): TOPICS[0].name for event_type in events.TASK_EVENTS}
    routes |= {event_type.type_name(): TOPICS[1].name for event_type in events.ACCOUNT_EVENTS}
    routes |= {command_type.type_name(): TOPICS[2].name for command_type in commands.LEDGER_COMMANDS}
    return routes | {command_type.type_name(): TOPICS[3].name for command_type in commands.SCORER_COMMANDS}


_ROUTES = _route_names()


def _pointer(text: str) -> str:
    return text.replace("~", "~0").replace("/", "~1")


def _first_line(service: str) -> str:
    return (importlib.import_module(f"services.{service}").__doc__ or "").strip().splitlines()[0]


def _default(field: Any) -> str:
    value = field.default_factory() if field.default_factory else field.default
    text = json.dumps(TypeAdapter(type(value)).dump_python(value, mode="json"))
    return f"`{text}`"


if __name__ == "__main__":
    main()

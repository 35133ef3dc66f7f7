"""The stored form of rows and segments.

A view and its tail are JSON text. A candidate in a segment keeps its fields apart, so that one can change.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic import TypeAdapter

from services.ingest.domain.task_projection import PublicEvent
from services.ingest.domain.task_row import CandidateSegment, Details, TaskRow
from services.ingest.domain.views import TaskView

Document = dict[str, Any]
_VIEW: Final[TypeAdapter[TaskView]] = TypeAdapter(TaskView)
_EVENTS: Final[TypeAdapter[tuple[PublicEvent, ...]]] = TypeAdapter(tuple[PublicEvent, ...])
_CANDIDATES: Final[TypeAdapter[dict[str, dict[str, Any]]]] = TypeAdapter(dict[str, dict[str, Any]])
_PLACES_PER_ROUND: Final = 1_000_000
_NESTED: Final = "nested_"


@dataclass(frozen=True, slots=True)
class CandidateKey:
    """A task and its account, which every candidate that is read carries."""

    task_id: str
    account_id: str


def created_us(at: datetime) -> int:
    """Return a time as whole microseconds since 1970, which orders pages."""
    return int(at.timestamp() * 1_000_000)


def place_of(fields: Details) -> int:
    """Return the place of a candidate in its task: by round, then by index."""
    return int(fields.get("round_index", 0)) * _PLACES_PER_ROUND + int(fields.get("index", 0))


def row_document(row: TaskRow) -> Document:
    """Return a row as a document."""
    view = row.view
    return {
        "_id": view.task_id,
        "account_id": view.account_id,
        "offset": view.offset,
        "state": view.state.value if view.state else None,
        "created_us": created_us(view.terms.accepted_at) if view.terms else 0,
        "view": _VIEW.dump_json(view).decode(),
        "events": _EVENTS.dump_json(row.events).decode(),
        "candidates": _text(row.candidates),
    }


def view_of(document: Mapping[str, Any]) -> TaskView:
    """Read the view of a row."""
    return _VIEW.validate_json(document["view"])


def row_of(document: Mapping[str, Any]) -> TaskRow:
    """Read a row."""
    return TaskRow(view_of(document), events_of(document), _CANDIDATES.validate_json(document["candidates"]))


def events_of(document: Mapping[str, Any]) -> tuple[PublicEvent, ...]:
    """Read the events of a row or a segment."""
    return _EVENTS.validate_json(document["events"])


def events_document(events: tuple[PublicEvent, ...]) -> Document:
    """Return a segment of events as a document."""
    first, last = events[0], events[-1]
    return {
        "_id": f"{first.task_id}/{first.number}-{last.number}",
        "task_id": first.task_id,
        "account_id": first.account_id,
        "last": last.number,
        "events": _EVENTS.dump_json(events).decode(),
    }


def segment_id(task_id: str, first: int) -> str:
    """Return the id of a segment of candidates."""
    return f"{task_id}/{first}"


def segment_document(segment: CandidateSegment) -> Document:
    """Return a whole segment of candidates as a document."""
    return {
        "_id": segment_id(segment.task_id, segment.first),
        "task_id": segment.task_id,
        "account_id": segment.account_id,
        "first": segment.first,
        "last_place": max(map(place_of, segment.candidates.values())),
        "offset": segment.offset,
        "candidates": {key: _stored(fields) for key, fields in segment.candidates.items()},
    }


def segment_changes(segment: CandidateSegment) -> Document:
    """Return the fields of a stored segment that change."""
    changes: Document = {"offset": segment.offset}
    for key, fields in segment.candidates.items():
        changes |= {f"candidates.{key}.{name}": value for name, value in _stored(fields).items()}
    return changes


def candidates_in_row(document: Mapping[str, Any]) -> list[Document]:
    """Read the candidates of a row, as readers see them."""
    key = CandidateKey(document["_id"], document["account_id"])
    return _shown(key, _CANDIDATES.validate_json(document["candidates"]).items())


def candidates_in_segment(document: Mapping[str, Any]) -> list[Document]:
    """Read the candidates of a segment, as readers see them."""
    key = CandidateKey(document["task_id"], document["account_id"])
    return _shown(key, ((name, _read(stored)) for name, stored in document["candidates"].items()))


def _shown(key: CandidateKey, candidates: Iterable[tuple[str, Details]]) -> list[Document]:
    return [
        {
            "candidate_id": name,
            "task_id": key.task_id,
            "account_id": key.account_id,
            "place": place_of(fields),
            **fields,
        }
        for name, fields in candidates
    ]


def _stored(fields: Details) -> Document:
    return {
        (f"{_NESTED}{name}" if isinstance(value, dict | list) else name): (
            _text(value) if isinstance(value, dict | list) else value
        )
        for name, value in fields.items()
    }


def _read(stored: Mapping[str, Any]) -> Document:
    return {
        name.removeprefix(_NESTED): json.loads(value) if name.startswith(_NESTED) else value
        for name, value in stored.items()
    }


def _text(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)

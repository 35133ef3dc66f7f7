"""Reads records for the audit as their newest version, and notes those that are newer than this build."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from winnow.audit.books import AUDITED
from winnow.audit.finding import Finding
from winnow.audit.lanes import bytes_of
from winnow.contracts.envelope import Envelope, Message, RecordedMessage
from winnow.contracts.events import EntryRecorded
from winnow.contracts.upcast import MessageRegistry, UnknownVersion, announced_version

_SEQUENCES = "sequences"


class Reader:
    """Reads what this build knows; all else is counted, so that a report says what it leaves out."""

    def __init__(self, registry: MessageRegistry = AUDITED) -> None:
        """Read the versions that a registry knows."""
        self._registry = registry
        self._skipped: Counter[tuple[str, int]] = Counter()
        self._known: dict[str, int] = {}
        self._subjects: set[str] = set()
        self._numbered: set[str] = set()

    def read(
        self, type_name: str, body: str | bytes | Mapping[str, str], announced: int | None = None
    ) -> RecordedMessage[Message] | None:
        """Read a record; None for a newer one, which is noted. Raises KeyError, TypeError and ValueError."""
        text = body if isinstance(body, str | bytes) else bytes_of(body)
        try:
            return self._registry.read(type_name, text, announced)
        except UnknownVersion as newer:
            self.skip(newer, text)
            return None

    def current(self, type_name: str, body: str) -> str | None:
        """Lift the text of a record to the newest version; None for a newer one, which is noted. Raises ValueError."""
        try:
            return self._registry.current(type_name, body)
        except UnknownVersion as newer:
            self.skip(newer, body)
            return None

    def skip(self, newer: UnknownVersion, text: str | bytes) -> None:
        """Note a record that is newer than this build, and whom the audit cannot judge without it."""
        self._skipped[newer.type_name, newer.version] += 1
        self._known[newer.type_name] = newer.newest
        try:
            document = json.loads(text)
            self._numbered.add(Envelope.model_validate(document).subject)
        except (ValueError, RecursionError):
            return
        task_id, account_id = document.get("task_id"), document.get("account_id")
        self._subjects |= {str(task_id)} if task_id else set()
        if not task_id or newer.type_name == EntryRecorded.type_name():
            self._subjects |= {str(account_id)}

    def judged(self, findings: Iterable[Finding]) -> list[Finding]:
        """Return the findings that do not rest on what was skipped."""
        return [finding for finding in findings if not self._is_unsure(finding)]

    @property
    def skipped_count(self) -> int:
        """Count the records that were skipped."""
        return self._skipped.total()

    def notes(self) -> list[str]:
        """Return how many records of which type and version were skipped."""
        return [
            f"{count} {'record' if count == 1 else 'records'} of {UnknownVersion(name, version, self._known[name])}"
            for (name, version), count in sorted(self._skipped.items())
        ]

    def is_unread(self, subject: str) -> bool:
        """Return whether records about a task or an account were skipped."""
        return subject in self._subjects

    def _is_unsure(self, finding: Finding) -> bool:
        return self.is_unread(finding.subject) or (
            finding.check == _SEQUENCES and finding.subject in self._numbered
        )


def announced_in(document: Mapping[str, Any]) -> int | None:
    """Return the version in the headers of an archived record; None where there is none."""
    return announced_version({name: bytes_of(value) for name, value in document["headers"]})

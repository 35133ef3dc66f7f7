"""Versions of messages: the newest model of each type, and pure steps that lift an older version to it.

A version is an integer and counts the shapes of one type. A new field with a default keeps the version. Any
other change of a shape is the next version, with one upcaster from the version before.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from winnow.contracts.envelope import CONTENT_TYPE, Message, RecordedMessage

FIRST_VERSION: Final = 1
"""The version of a record that states none."""


class UnknownVersion(Exception):  # noqa: N818 (the noun of the problem)
    """A well-formed message of a type or version that this build does not know; ``newest`` is 0 for a type."""

    def __init__(self, type_name: str, version: int, newest: int) -> None:
        """Name the message and the newest version that is known here."""
        known = f"knows version {newest} at most" if newest else "does not know the type"
        super().__init__(f"{type_name} version {version}: this build {known}")
        self.type_name = type_name
        self.version = version
        self.newest = newest


@dataclass(frozen=True, slots=True)
class Upcaster:
    """One step: ``lift`` turns the flat form of ``version`` of a type into that of ``version + 1``.

    ``lift`` is pure. It gets the fields of envelope and payload in a dictionary of its own, which it may change and
    return. The registry writes the new version into the result.
    """

    type: str
    version: int
    lift: Callable[[dict[str, Any]], dict[str, Any]]


T = TypeVar("T", RecordedMessage[Message], Message)
_Parse = Callable[[bytes | str, type[Message]], T]

UPCASTERS: Final[tuple[Upcaster, ...]] = ()
"""The steps of the messages that travel. The journals' own stand beside the events that they lift."""


class MessageRegistry:
    """Reads messages of any known (type, version); the reader gets the newest version."""

    def __init__(self, models: Iterable[type[Message]], upcasters: Iterable[Upcaster] = ()) -> None:
        """Know the newest model of each type; raises ValueError unless every older version has exactly one step."""
        self.models: Mapping[str, type[Message]] = {model.type_name(): model for model in models}
        self.upcasters = tuple(upcasters)
        self._newest = {name: newest_version(model) for name, model in self.models.items()}
        self._steps = {(upcaster.type, upcaster.version): upcaster.lift for upcaster in self.upcasters}
        needed = {
            (name, index) for name, newest in self._newest.items() for index in range(FIRST_VERSION, newest)
        }
        if len(self._steps) != len(self.upcasters) or self._steps.keys() != needed:
            wrong = sorted(needed ^ self._steps.keys()) or "a repeated step"
            raise ValueError(f"upcasters do not lead to the newest version of each type: {wrong}")

    def extended(
        self, models: Iterable[type[Message]], upcasters: Iterable[Upcaster] = ()
    ) -> MessageRegistry:
        """Return a registry that knows these messages too, as a journal with events of its own needs."""
        return MessageRegistry((*self.models.values(), *models), (*self.upcasters, *upcasters))

    def subset(self, type_names: Iterable[str]) -> MessageRegistry:
        """Return a registry of these types alone; raises KeyError for a type that is not known."""
        names = tuple(type_names)
        steps = (upcaster for upcaster in self.upcasters if upcaster.type in names)
        return MessageRegistry((self.models[task] for task in names), steps)

    def newest(self, type_name: str) -> int:
        """Return the newest known version of a type; 0 for an unknown type."""
        return self._newest.get(type_name, 0)

    def read(
        self, type_name: str, text: bytes | str, announced: int | None = None
    ) -> RecordedMessage[Message]:
        """Read JSON text as the newest version of its type.

        ``announced`` is the version of the record's header, looked at before the text is parsed; where the text
        states a version, the text is right. Raises UnknownVersion for a type or version that is not known, and
        ValueError for a text that does not fit its version.
        """
        return self._read(type_name, text, announced, RecordedMessage.from_text)

    def payload(self, type_name: str, text: bytes | str) -> Message:
        """Read the payload alone, as the newest version of its type; raises like ``read``."""
        return self._read(type_name, text, None, lambda known, model: model.model_validate_json(known))

    def current(self, type_name: str, text: str) -> str:
        """Return a text as its newest version; raises like ``read``, but does not check that the payload fits."""
        if not self.newest(type_name):
            raise UnknownVersion(type_name, stated_version(text) or FIRST_VERSION, 0)
        return self._lifted(type_name, text, None) or text

    def _read(self, type_name: str, text: bytes | str, announced: int | None, parse: _Parse[T]) -> T:
        newest = self.newest(type_name)
        if newest == 0 or (announced or FIRST_VERSION) > newest:
            stated = stated_version(text) or announced or FIRST_VERSION
            if stated > newest:
                raise UnknownVersion(type_name, stated, newest)
        model = self.models[type_name]
        try:
            parsed = parse(text, model)
        except ValidationError:
            lifted = self._lifted(type_name, text, announced)
            if lifted is None:
                raise
            return parse(lifted, model)
        if newest == FIRST_VERSION or "version" in _message_of(parsed).model_fields_set:
            return parsed
        lifted = self._lifted(type_name, text, announced)
        return parsed if lifted is None else parse(lifted, model)

    def _lifted(self, type_name: str, text: bytes | str, announced: int | None) -> str | None:
        """Lift a text to the newest version; None where that is its version, or where it states none that exists."""
        version = stated_version(text, otherwise=announced or FIRST_VERSION)
        newest = self._newest[type_name]
        if version is None or version == newest:
            return None
        if version > newest:
            raise UnknownVersion(type_name, version, newest)
        document = json.loads(text)
        for step in range(version, newest):
            try:
                document = self._steps[type_name, step](document) | {"version": step + 1}
            except (LookupError, TypeError, AttributeError) as error:
                text = f"{type_name} version {step} does not fit its upcaster ({type(error).__name__})"
                raise ValueError(text) from error
        return json.dumps(document)


def _message_of(parsed: RecordedMessage[Message] | Message) -> Message:
    return parsed.message if isinstance(parsed, RecordedMessage) else parsed


def newest_version(model: type[Message]) -> int:
    """Return the version that a model is of."""
    return int(model.model_fields["version"].default)


def stated_version(text: bytes | str, otherwise: int | None = None) -> int | None:
    """Return the version that a JSON text states, ``otherwise`` where it states none.

    None stands for a text that is no JSON object, and for a version that is no integer of 1 or more. A text that is nested
    too deeply to be parsed counts as none.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(document, dict):
        return None
    version = document.get("version", otherwise)
    is_version = isinstance(version, int) and not isinstance(version, bool) and version >= FIRST_VERSION
    return version if is_version else None


def headers_of(type_name: str, text: str) -> dict[str, str]:
    """Return the headers of a record with this JSON text, as one of this project's services has written it."""
    written = f'"type":"{type_name}","version":'
    start = text.find(written)
    if start < 0:
        version = stated_version(text, otherwise=FIRST_VERSION) or FIRST_VERSION
    else:
        digits = text[start + len(written) : start + len(written) + 10]
        version = int(digits[: len(digits) - len(digits.lstrip("0123456789"))])
    return {"content-type": CONTENT_TYPE, "type": type_name, "version": str(version)}


def announced_version(headers: Mapping[str, bytes]) -> int | None:
    """Return the version in a record's headers; None where there is none, or where it is no number of 1 or more."""
    value = headers.get("version", b"")
    is_version = value.isdigit() and len(value) < 10 and int(value) >= FIRST_VERSION
    return int(value) if is_version else None

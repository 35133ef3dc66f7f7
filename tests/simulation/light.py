"""Light runs: what one service writes, another gets as the same object; whole runs write and read every text.

A light run leaves out the form of things and none of what is decided: a message that was written is not parsed again,
states and views are stored as objects, and a block's hash is taken of its parts instead of its canonical text.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from functools import cache
from types import SimpleNamespace
from typing import Any

from prometheus_client.metrics import MetricWrapperBase
from pydantic import TypeAdapter

from services.ingest.store import view_writer, views
from tests.simulation import quick
from winnow.contracts.envelope import Message, RecordedMessage
from winnow.contracts.upcast import MessageRegistry
from winnow.eventstore import codec as codec_module
from winnow.eventstore import entities as entities_module
from winnow.eventstore import journal as journal_module
from winnow.eventstore.codec import Codec
from winnow.eventstore.model import Block

WHOLE_EVERY = 50
"""One run of so many is whole."""


def is_whole(seed: int) -> bool:
    """Return whether a seed's run writes and reads every text."""
    return seed % WHOLE_EVERY == 0


class Unwritten:
    """A value that a light run stores without writing it as JSON."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        """Compare the values."""
        return isinstance(other, Unwritten) and bool(self.value == other.value)

    __hash__ = None  # type: ignore[assignment]

    def decode(self) -> Unwritten:
        """Stay as it is, where a text would be decoded."""
        return self


class _Unwriting:
    """In the place of pydantic's adapter."""

    @staticmethod
    def dump_json(value: Any) -> Unwritten:
        return Unwritten(value)

    @staticmethod
    def validate_json(stored: Unwritten) -> Any:
        return stored.value


class _Adapters:
    """Builds pydantic's adapter of a type once, where a real process builds it once in its life."""

    def __init__(self) -> None:
        self.is_light = False
        self._known: dict[type, TypeAdapter[Any]] = {}

    def __call__(self, of_type: type) -> Any:
        if self.is_light:
            return _Unwriting
        if of_type not in self._known:
            self._known[of_type] = TypeAdapter(of_type)
        return self._known[of_type]


class _Codecs:
    """Builds the codec of a decider's rules once; a codec has no state."""

    def __init__(self) -> None:
        self._known: dict[tuple[bool, int], tuple[Any, Codec[Any]]] = {}

    def __call__(self, decider: Any, route: Any) -> Codec[Any]:
        key = (_ADAPTERS.is_light, id(decider))
        if key not in self._known or self._known[key][0] is not decider:
            self._known[key] = (decider, Codec(decider, route))
        return self._known[key][1]


_ADAPTERS = _Adapters()
codec_of = _Codecs()


class _NoMetric:
    """Metric that nobody reads."""

    def labels(self, *_: object, **__: object) -> _NoMetric:
        return self

    def inc(self, _: float = 1) -> None:
        return

    def time(self) -> nullcontext[None]:
        return nullcontext()

    track_inprogress = time
    dec = set = observe = inc


_NO_LIST_OF_TASKS: list[quick.Change] = [
    (known, "add", lambda _: None)
    for known in (getattr(asyncio.tasks, "_all_tasks", None),)
    if known is not None
]
"""Python lists all tasks by weak references, for ``asyncio.all_tasks``, which nothing asks in a run."""


@cache
def _no_metrics() -> list[quick.Change]:
    """Return the changes for the metrics of every module; all of them are imported when the first run begins."""
    return [
        (module, name, _NoMetric())
        for module in quick.modules()
        for name, value in vars(module).items()
        if isinstance(value, MetricWrapperBase)
    ]


def _short_hash(block: Block) -> str:
    parts: list[object] = [block.block_id, block.prev_hash, block.at, *block.offsets.items()]
    for decision in block.decisions:
        parts += (decision.aggregate_id, decision.seq, decision.input_id, decision.fingerprint)
        parts += [entry.body for entry in decision.entries]
    return f"{hash(tuple(parts)) & (1 << 64) - 1:064x}"


class _Written:
    """Messages that were written in a run, by their text, and blocks, by what fixes their content."""

    def __init__(self) -> None:
        self._known: dict[str | bytes, RecordedMessage[Any]] = {}
        self._blocks: dict[tuple[str, str, int], Block] = {}

    def forget(self) -> None:
        """Begin a run."""
        self._known.clear()
        self._blocks.clear()

    def patches(self) -> list[quick.Change]:
        known, write, read = self._known, RecordedMessage.text, MessageRegistry.read

        def text(recorded: RecordedMessage[Any]) -> str:
            written = write(recorded)
            known[written] = known[written.encode()] = recorded
            return written

        def known_or_read(
            registry: MessageRegistry, type_name: str, text: bytes | str, announced: int | None = None
        ) -> RecordedMessage[Message]:
            recorded = known.get(text)
            if recorded is None or type_name not in registry.models:
                return read(registry, type_name, text, announced)
            return recorded

        blocks, to_document, from_document = self._blocks, Block.to_document, Block.from_document

        def document(block: Block) -> dict[str, Any]:
            blocks[block.block_id, block.hash, block.sent_to] = block
            return to_document(block)

        def known_block(row: Mapping[str, Any]) -> Block:
            return blocks.get((row["_id"], row["hash"], row["sent_to"])) or from_document(row)

        return [
            (RecordedMessage, "text", text),
            (MessageRegistry, "read", known_or_read),
            (Block, "to_document", document),
            (Block, "from_document", staticmethod(known_block)),
        ]


_WRITTEN = _Written()


def _light() -> list[quick.Change]:
    return [
        *_WRITTEN.patches(),
        (_ADAPTERS, "is_light", True),
        (Block, "digest", _short_hash),
        *quick.changes(),
        *_no_metrics(),
        *(
            (module, name, _Unwriting)
            for module in (views, view_writer)
            for name in ("VIEW", "ENTRY", "REFUSAL")
        ),
        (view_writer, "json", SimpleNamespace(dumps=lambda value, **_: Unwritten(value))),
    ]


def _whole() -> list[quick.Change]:
    return [
        (codec_module, "TypeAdapter", _ADAPTERS),
        (entities_module, "TypeAdapter", _ADAPTERS),
        (journal_module, "Codec", codec_of),
        *_NO_LIST_OF_TASKS,
    ]


class _Changes:
    """Changes that stand in the line's classes and modules; Python is slow for a while after each change of a class."""

    def __init__(self) -> None:
        self.stay = False
        """Keep the changes of a run until a run needs others."""
        self._whole: bool | None = None
        self._undo: list[quick.Change] = []

    def turn(self, *, whole: bool) -> None:
        if self._whole is whole:
            return
        self.undo()
        changes = [*_whole(), *([] if whole else _light())]
        self._undo = [(owner, name, _held(owner, name)) for owner, name, _ in changes]
        self._whole = whole
        for owner, name, value in changes:
            setattr(owner, name, value)

    def undo(self) -> None:
        for owner, name, value in reversed(self._undo):
            if value is _ABSENT:
                delattr(owner, name)
            else:
                setattr(owner, name, value)
        self._whole, self._undo = None, []


_ABSENT = object()
_CHANGES = _Changes()


def _held(owner: Any, name: str) -> Any:
    """Return what stands in the owner itself, as it stands there: a static method, not its function."""
    return vars(owner).get(name, _ABSENT)


@contextmanager
def lightly(*, whole: bool) -> Iterator[None]:
    """Play a run in this block; unless ``whole``, without the texts that nobody has to read."""
    _CHANGES.turn(whole=whole)
    _WRITTEN.forget()
    try:
        yield
    finally:
        if not _CHANGES.stay:
            _CHANGES.undo()


@contextmanager
def staying() -> Iterator[None]:
    """Let the changes of runs stay in this block, in which nothing else is done than to play."""
    _CHANGES.stay = True
    # Whatever was made before it is no garbage of a run, and need not be searched for any.
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
        _CHANGES.stay = False
        _CHANGES.undo()


def state_shown(row: dict[str, Any], of_text: Callable[[str], Any]) -> Any:
    """Return the state in a stored view, which is a text in a whole run."""
    view = row["view"]
    return view.value.state.value if isinstance(view, Unwritten) else of_text(view)["state"]

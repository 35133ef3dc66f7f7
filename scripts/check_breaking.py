"""Check that contracts only grow: gRPC by buf, messages and journals by their JSON schemas, against the main branch.

A message of a raised version may have any shape, for its upcasters lead there (winnow/contracts/upcast.py). A stored
state may have any shape whose version is raised, for it is folded anew then. The base is ``origin/main`` where that exists, else ``main``, else the commit before HEAD.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SCHEMAS = ("docs/api/events.schema.json", "docs/api/journal.events.schema.json")
STATES = "docs/api/journal.states.schema.json"
_WORDS = {"title", "description", "examples"}
"""Keywords of a schema that speak to people: no part of a shape."""


def _git(*arguments: str) -> str | None:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def base_commit() -> str | None:
    """Return the commit to compare with; None in a tree without history."""
    for name in ("origin/main", "main", "HEAD~1"):
        commit = _git("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}")
        if commit is not None and (commit != _git("rev-parse", "HEAD") or name == "HEAD~1"):
            return commit
    return _git("rev-parse", "--verify", "--quiet", "HEAD")


def breaks(old: dict[str, Any], new: dict[str, Any], at: str = "") -> list[str]:
    """Compare two schemas of messages: what an older reader or writer would stumble over."""
    found: list[str] = []
    old_fields, new_fields = old.get("properties", {}), new.get("properties", {})
    found += [f"{at}{name}: removed" for name in sorted(old_fields.keys() - new_fields.keys())]
    for name in sorted(old_fields.keys() & new_fields.keys()):
        found += _field_breaks(old_fields[name], new_fields[name], f"{at}{name}")
    old_required, new_required = set(old.get("required", ())), set(new.get("required", ()))
    found += [
        f"{at}{name}: newly required" for name in sorted((new_required - old_required) & old_fields.keys())
    ]
    found += [
        f"{at}{name}: new and without a default"
        for name in sorted(new_fields.keys() - old_fields.keys())
        if "default" not in new_fields[name]
    ]
    return found


def _field_breaks(old: dict[str, Any], new: dict[str, Any], at: str) -> list[str]:
    found = [
        f"{at}: {key} changed"
        for key in ("type", "const", "format", "$ref", "anyOf", "items", "pattern")
        if old.get(key) != new.get(key)
    ]
    for key, tighter in (("minimum", 1), ("exclusiveMinimum", 1), ("maximum", -1), ("maxLength", -1)):
        if key in new and (key not in old or (new[key] - old[key]) * tighter > 0):
            found.append(f"{at}: {key} tightened")
    gone = set(old.get("enum", ())) - set(new.get("enum", ()))
    if gone:
        found.append(f"{at}: enum value removed: {', '.join(sorted(gone))}")
    return found


def schema_breaks(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Compare the whole documents: every message, found by its type, and every value."""
    olds, news = _by_type(old["$defs"]), _by_type(new["$defs"])
    found = [f"{name}: removed" for name in sorted(olds.keys() - news.keys())]
    for name in sorted(olds.keys() & news.keys()):
        before, after = olds[name], news[name]
        if _version(after) > _version(before):
            continue
        found += breaks(before, after, f"{name}.")
        gone = set(before.get("enum", ())) - set(after.get("enum", ()))
        found += [f"{name}: enum value removed: {value}" for value in sorted(gone)]
    return found


def state_breaks(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Compare the stored states of all journals: another shape needs a raised version, which is never lowered."""
    found = [f"state of {name}: removed" for name in sorted(old.keys() - new.keys())]
    for name in sorted(old.keys() & new.keys()):
        before, after = old[name], new[name]
        if after["version"] < before["version"]:
            found.append(f"state of {name}: version lowered")
        elif after["version"] == before["version"] and not _is_same_shape(
            _shape(before["schema"]), _shape(after["schema"])
        ):
            found.append(f"state of {name}: another shape and the same state_version")
    return found


def _by_type(definitions: dict[str, Any]) -> dict[str, Any]:
    """Key messages by their type, values by their name: a message's class may be renamed."""
    return {
        definition.get("properties", {}).get("type", {}).get("const", name): definition
        for name, definition in definitions.items()
    }


def _version(definition: dict[str, Any]) -> int:
    return int(definition.get("properties", {}).get("version", {}).get("const", 0))


def _shape(schema: Any) -> Any:
    """Return a schema without its words for people."""
    match schema:
        case dict():
            return {
                key: {name: _shape(field) for name, field in value.items()}
                if key in {"properties", "$defs"}
                else _shape(value)
                for key, value in schema.items()
                if key not in _WORDS
            }
        case list():
            return [_shape(item) for item in schema]
        case _:
            return schema


def _is_same_shape(old: Any, new: Any) -> bool:
    """Return whether states of both shapes are read alike.

    A build that does not know a value of an enum refuses it.
    """
    match old, new:
        case dict(), dict():
            if "enum" in old and "enum" in new and not set(old["enum"]) <= set(new["enum"]):
                return False
            return old.keys() == new.keys() and all(
                name == "enum" or _is_same_shape(old[name], new[name]) for name in old
            )
        case list(), list():
            return len(old) == len(new) and all(_is_same_shape(*pair) for pair in zip(old, new, strict=True))
        case _:
            return bool(old == new)


def _compared(
    base: str, path: str, compare: Callable[[dict[str, Any], dict[str, Any]], list[str]]
) -> list[str]:
    """Compare a document with that of the base; one that the base lacks breaks nothing."""
    text = _git("show", f"{base}:{path}")
    return compare(json.loads(text), json.loads((ROOT / path).read_text())) if text is not None else []


def main() -> None:
    """Check all, and say which base was used."""
    base = base_commit()
    if base is None:
        print("contracts: no history to compare with")
        return
    if _git("cat-file", "-e", f"{base}:proto") is not None:
        against = f"{ROOT / '.git'}#ref={base},subdir=proto"
        subprocess.run(
            [str(Path(sys.executable).parent / "buf"), "breaking", "--against", against],
            cwd=ROOT / "proto",
            check=True,
        )
    found = [difference for path in SCHEMAS for difference in _compared(base, path, schema_breaks)]
    found += _compared(base, STATES, state_breaks)
    if found:
        sys.exit("breaking changes (a new version is needed, docs/upgrading.md):\n  " + "\n  ".join(found))
    print(f"contracts: compatible with {base[:12]}")


if __name__ == "__main__":
    main()

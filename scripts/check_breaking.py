"""Check that contracts only grow: gRPC by buf, events by their JSON schema, both against the main branch.

The base is ``origin/main`` where that exists, else ``main``, else the commit before HEAD.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SCHEMA = "docs/api/events.schema.json"


def _git(*arguments: str) -> str | None:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def base_commit() -> str | None:
    """Give the commit to compare with; None in a tree without history."""
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
    """Compare the whole documents: every message and every value."""
    found = [f"{name}: removed" for name in sorted(old["$defs"].keys() - new["$defs"].keys())]
    for name in sorted(old["$defs"].keys() & new["$defs"].keys()):
        before, after = old["$defs"][name], new["$defs"][name]
        found += breaks(before, after, f"{name}.")
        gone = set(before.get("enum", ())) - set(after.get("enum", ()))
        found += [f"{name}: enum value removed: {value}" for value in sorted(gone)]
    return found


def main() -> None:
    """Check both, and say which base was used."""
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
    text = _git("show", f"{base}:{SCHEMA}")
    if text is not None:
        found = schema_breaks(json.loads(text), json.loads((ROOT / SCHEMA).read_text()))
        if found:
            sys.exit("breaking event changes (a new version is needed):\n  " + "\n  ".join(found))
    print(f"contracts: compatible with {base[:12]}")


if __name__ == "__main__":
    main()

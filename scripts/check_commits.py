"""Check the messages of commits: a conventional subject of at most 72 characters, and a body that says why.

``python -m scripts.check_commits`` reads the commits after ``BASE``; a checkout without that history passes with a note.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
BASE: Final = "68427a56a1beb612ba544cf49a4329d6227a584c"
"""The newest commit that was made before this check."""
SUBJECT_MAX: Final = 72
EXPLAINED: Final = ("feat", "fix", "perf", "refactor")
"""Types whose body says why."""
TYPES: Final = (*EXPLAINED, "build", "chore", "ci", "docs", "revert", "style", "test")

_SUBJECT: Final = re.compile(rf"({'|'.join(TYPES)})(?:\([a-z0-9_-]+\))?!?: \S.*[^\s.]")
_TRAILER: Final = re.compile(r"[A-Z][A-Za-z-]+-by: ")
_LOG: Final = ("log", "--no-merges", "--format=%h%x00%B%x01")


def faults(message: str) -> list[str]:
    """Return what is wrong with the message of a commit."""
    subject, *body = message.strip().splitlines() or [""]
    found = [f"the subject has {len(subject)} characters"] if len(subject) > SUBJECT_MAX else []
    form = _SUBJECT.fullmatch(subject)
    if form is None:
        found.append(
            f"the subject is not 'type: text' or 'type(scope): text' with a type of {', '.join(TYPES)}"
        )
    elif form[1] in EXPLAINED and not any(line.strip() and not _TRAILER.match(line) for line in body):
        found.append(f"the body of a {form[1]} says why")
    if body and body[0].strip():
        found.append("an empty line stands between subject and body")
    return found


def read_log(root: Path, base: str = BASE) -> dict[str, str] | None:
    """Return the messages after a commit by their short hashes, or None where the history does not reach so far."""
    log = subprocess.run(
        ["git", *_LOG, f"{base}..HEAD"], cwd=root, capture_output=True, text=True, check=False
    )
    if log.returncode:
        return None
    records = (record.strip().partition("\x00") for record in log.stdout.split("\x01"))
    return {short: message for short, _, message in records if short}


def main() -> int:
    """Print every fault; return 1 where there is any."""
    try:
        log = read_log(ROOT)
    except FileNotFoundError:
        log = None
    if log is None:
        print(f"Messages of commits are not checked: the history since {BASE[:7]} is not here.")
        return 0
    found = [f"{short}: {fault}" for short, message in log.items() for fault in faults(message)]
    print("\n".join(found), end="\n" if found else "", file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())

"""Check the prose of documents and docstrings: length of sentences, banned words, verbs first.

``python -m scripts.check_prose`` names every fault with its place. Pages and docstrings have none
(docs/adr/0033-prose-is-checked.md). ``--counts`` prints how many there are.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
WORDS_MAX: Final = 25
BANNED: Final = {
    r"\b(?:put|puts|putting) aside\b": "dead-letter, set apart, exclude",
    r"\b(?:ones|one's)\b": "the noun",
    r"\bthe dearest\b|\bdearer\b": "the most expensive, more expensive",
    r"\bmended?\b": "fix, repair",
    r"\bwhoever\b|\bwhatever\b": "the noun",
    r"\bgo(?:es)? on\b": "continue",
    r"\bfor want of\b|\bin vain\b|\bbeside it\b": "plain words",
    r"\b(?:simply|obviously|of course|needless to say)\b": "nothing",
    r"\butiliz|\butilis|\bleverag": "use",
}
"""Pattern → what stands there instead."""
NO_VERBS: Final = frozenset(
    {"give", "gives", "what", "how", "where", "which", "who", "whose", "whether", "when"}
)
"""A function's docstring begins with a plain verb, such as Return, Raise, Yield or Store, and with none of these words."""
DEBT: Final[dict[str, int]] = {}
"""Faults that a folder may still have. There are none; a figure here may only fall."""

_FENCE: Final = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_COMMENT: Final = re.compile(r"<!--.*?-->", re.DOTALL)
_LINK: Final = re.compile(r"!?\[([^\]]*)\]\([^)]*\)")
_CODE: Final = re.compile(r"``.+?``|`[^`]+`")
_ITEM: Final = re.compile(r"^\s*(?:[*-]|\d+\.)\s+")
_END: Final = re.compile(r"(?<!\be\.g)(?<!\bi\.e)[.!?](?=\s|$)")


def paragraphs(text: str) -> Iterator[str]:
    """Yield the prose of a Markdown text: no code, no tables, no headings; each list item by itself."""
    lines: list[str] = []
    for line in [*_COMMENT.sub("", _FENCE.sub("", text)).splitlines(), ""]:
        ends = not line.strip() or line.startswith(("#", "|", ">", "    "))
        if ends or _ITEM.match(line):
            if lines:
                yield " ".join(lines)
            lines = []
        if not ends:
            lines.append(_ITEM.sub("", line).strip())


def faults(prose: str) -> Iterator[str]:
    """Yield what is wrong with a paragraph: sentences that are too long, words that are banned."""
    plain = _CODE.sub("code", _LINK.sub(r"\1", prose)).replace("**", "")
    for sentence in _END.split(plain):
        words = [word for word in sentence.split() if any(sign.isalnum() for sign in word)]
        if len(words) > WORDS_MAX:
            yield f"{len(words)} words: {' '.join(words[:8])} ..."
    for pattern, instead in BANNED.items():
        for found in re.findall(pattern, plain, re.IGNORECASE):
            yield f"'{found}': write {instead}"


def pages() -> list[Path]:
    """Return the hand-written pages; a decision older than this check is a record."""
    found = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "deploy/k8s/README.md"]
    found += [
        path
        for path in sorted((ROOT / "docs").glob("*.md"))
        if "Generated from" not in path.read_text()[:300]
    ]
    checked = {"0005", "0010"}
    return found + [
        path
        for path in sorted((ROOT / "docs/adr").glob("*.md"))
        if path.name[:4] in checked or path.name > "0033"
    ]


def of_docstrings(path: Path) -> Iterator[str]:
    """Yield what is wrong with the docstrings of a module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        text = ast.get_docstring(node)
        if text is None:
            continue
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        if is_function and text.split(maxsplit=1)[0].strip(".,:").lower() in NO_VERBS:
            yield f"{getattr(node, 'name', '')}: begins with '{text.split(maxsplit=1)[0]}', not with a verb"
        for prose in paragraphs(text):
            yield from faults(prose)


def all_faults() -> Iterator[tuple[str, str, str]]:
    """Yield every fault: the key of its bound, its file, and what is wrong."""
    for page in pages():
        name = str(page.relative_to(ROOT))
        yield from ((name, name, fault) for prose in paragraphs(page.read_text()) for fault in faults(prose))
    for folder in ("services", "winnow", "simulators", "scripts", "model_builder"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "winnow/rpc" not in str(path):
                yield from ((folder, str(path.relative_to(ROOT)), fault) for fault in of_docstrings(path))


def main() -> None:
    """Print the faults of every page and folder that is above its bound, and leave with 1 when there is one."""
    found = list(all_faults())
    counts = Counter(key for key, _, _ in found)
    if "--counts" in sys.argv:
        sys.exit("\n".join(f'    "{key}": {count},' for key, count in sorted(counts.items())))
    over = {key for key, count in counts.items() if count > DEBT.get(key, 0)}
    for key, place, fault in found:
        if key in over:
            print(f"{place}: {fault}")
    if over:
        sys.exit(
            "; ".join(f"{key}: {counts[key]} faults, {DEBT.get(key, 0)} allowed" for key in sorted(over))
        )


if __name__ == "__main__":
    main()

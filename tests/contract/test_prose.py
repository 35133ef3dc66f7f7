"""The rules of prose find what they are for, and leave tables, code and short sentences alone."""

from __future__ import annotations

from pathlib import Path

from scripts.check_prose import BANNED, WORDS_MAX, faults, of_docstrings, paragraphs

LONG = " ".join(["word"] * (WORDS_MAX + 1)) + "."
PAGE = f"""# A heading {LONG}

First line of a paragraph
and its second.

* an item
  that goes over two lines
* another

| a table | {LONG} |

```
{LONG}
```
"""


def test_paragraphs_are_joined_and_what_is_no_prose_is_left_out() -> None:
    assert list(paragraphs(PAGE)) == [
        "First line of a paragraph and its second.",
        "an item that goes over two lines",
        "another",
    ]


def test_a_long_sentence_is_a_fault_and_two_short_sentences_are_none() -> None:
    half = " ".join(["word"] * WORDS_MAX)
    assert [fault[:8] for fault in faults(LONG)] == [f"{WORDS_MAX + 1} words"]
    assert list(faults(f"{half}. {half}.")) == []
    assert list(faults(f"{half} `code of several words` .")) != []
    assert (
        list(faults("A [link with text](to/some#where) and `x.y z` count as their text and as one word."))
        == []
    )


def test_every_banned_pattern_is_found() -> None:
    examples = (
        "It was put aside.",
        "The other ones.",
        "A dearer offering.",
        "It was mended.",
        "Whoever comes.",
        "The rest goes on.",
        "They waited in vain.",
        "It simply works.",
        "We leverage it.",
    )
    assert len(examples) == len(BANNED)
    assert [text for text in examples if not list(faults(text))] == []


def test_the_docstring_of_a_function_begins_with_a_verb(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text('"""A module may begin with a noun."""\n\n\ndef price():\n    """Give the price."""\n')
    assert list(of_docstrings(module)) == ["price: begins with 'Give', not with a verb"]
    module.write_text('"""A module."""\n\n\ndef price():\n    """Return the price."""\n')
    assert list(of_docstrings(module)) == []

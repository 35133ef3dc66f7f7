"""The quick way to read and write blocks gives what the slow one does."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from winnow.audit.canonical_json import fast_canonical
from winnow.audit.segments import BrokenSegment, pack, unpack
from winnow.eventstore.model import canonical

TEXTS = st.text()


def documents(integers: st.SearchStrategy[int]) -> st.SearchStrategy[dict]:
    leaves = st.none() | st.booleans() | integers | TEXTS
    inner = st.recursive(
        leaves, lambda nested: st.lists(nested, max_size=4) | st.dictionaries(TEXTS, nested, max_size=4)
    )
    return st.dictionaries(TEXTS, inner, max_size=4)


@given(documents(st.integers()))
def test_a_document_is_written_as_the_services_write_it(document: dict) -> None:
    try:
        expected = canonical(document)
    except UnicodeEncodeError as error:
        with pytest.raises(type(error)):
            fast_canonical(document)
    else:
        assert fast_canonical(document) == expected


@given(documents(st.integers(-(2**63), 2**63 - 1)))
def test_what_was_packed_is_unpacked(document: dict) -> None:
    assert list(unpack(pack([json.dumps(document).encode() + b"\n"]))) == [json.loads(json.dumps(document))]


@pytest.mark.parametrize("line", [b"{", b"NaN", b'{"a": NaN}', b"[]", b"\xff"])
def test_a_line_that_is_no_item_is_refused(line: bytes) -> None:
    with pytest.raises(BrokenSegment):
        list(unpack(pack([line + b"\n"])))

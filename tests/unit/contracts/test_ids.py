"""Derived ids: the text of a name-based UUID, whatever the parts."""

from __future__ import annotations

from uuid import UUID, uuid5

from hypothesis import given
from hypothesis import strategies as st

from winnow.contracts.ids import Prefix, derive_id

_NAMESPACE = UUID("6f1d1f0e-7c43-5b7e-9f57-1d6f0b8a2c11")


@given(st.sampled_from(Prefix), st.lists(st.text() | st.integers(), min_size=1, max_size=4))
def test_an_id_is_the_name_based_uuid_of_its_parts(prefix: Prefix, parts: list[str | int]) -> None:
    name = "\x1f".join((prefix.value, *map(str, parts)))
    assert derive_id(prefix, *parts) == f"{prefix.value}_{uuid5(_NAMESPACE, name)}"

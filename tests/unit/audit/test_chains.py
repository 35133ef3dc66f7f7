"""Every way to tamper with a chain is found and named, and a sound chain has no fault."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.unit.audit.chain_builders import blocks, records, rewritten
from winnow.audit.chains import BlockChain, Head, RecordChain, digest_of
from winnow.eventstore import Block

LANE = "journal/ledger/0"
Documents = list[dict[str, Any]]


def faults(documents: Documents, anchored: Head | None = None) -> list[str]:
    chain = BlockChain(LANE, anchored)
    for document in documents:
        chain.take(document)
    return [fault.text for fault in chain.faults()]


def test_the_hash_is_the_one_that_services_write() -> None:
    for document in blocks(3):
        assert digest_of(document) == document["hash"] == Block.from_document(document).digest()


def test_a_sound_chain_has_no_fault_also_against_its_anchor() -> None:
    documents = blocks(8)
    assert faults(documents, Head(1, 8, documents[7]["hash"])) == []
    assert faults(documents, Head(1, 5, documents[4]["hash"])) == []


def dropped(documents: Documents) -> Documents:
    return documents[:3] + documents[4:]


def swapped(documents: Documents) -> Documents:
    documents[3], documents[4] = documents[4], documents[3]
    return documents


def swapped_under_their_ids(documents: Documents) -> Documents:
    documents[3]["_id"], documents[4]["_id"] = documents[4]["_id"], documents[3]["_id"]
    return documents


def contents_swapped(documents: Documents) -> Documents:
    for name in ("decisions", "causes", "offsets"):
        documents[3][name], documents[4][name] = documents[4][name], documents[3][name]
    return documents


def flipped(documents: Documents) -> Documents:
    documents[3]["decisions"][0]["aggregate_id"] = "account_5"
    return documents


def resealed_alone(documents: Documents) -> Documents:
    documents[3]["at"] = "2026-01-02T03:04:06+00:00"
    documents[3]["hash"] = digest_of(documents[3])
    return documents


def garbled(documents: Documents) -> Documents:
    del documents[3]["decisions"]
    return documents


@pytest.mark.parametrize(
    ("tamper", "said"),
    [
        (dropped, "block 4 is missing before block 5"),
        (swapped, "block 4 stands where block 6 should: blocks were swapped or repeated"),
        (
            swapped_under_their_ids,
            "block 4 is kept under the id or the causes of another: blocks were swapped",
        ),
        (contents_swapped, "the contents of block 4 do not give its hash: it was changed"),
        (flipped, "the contents of block 4 do not give its hash: it was changed"),
        (resealed_alone, "block 5 does not follow block 4: it names another predecessor"),
        (garbled, "block 4 cannot be read (KeyError)"),
    ],
)
def test_tampering_is_named(tamper: Callable[[Documents], Documents], said: str) -> None:
    assert said in faults(tamper(copy.deepcopy(blocks(8))))


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path to every value that holds no other."""
    if isinstance(value, (dict, list)) and value:
        for name, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(inner, (*path, name))
    else:
        yield path


def changed(document: dict[str, Any], path: tuple[Any, ...]) -> dict[str, Any]:
    """Change one value a little: a number by one, a text by its last letter."""
    copied = copy.deepcopy(document)
    at = copied
    for name in path[:-1]:
        at = at[name]
    value = at[path[-1]]
    if isinstance(value, (bool, int)):
        at[path[-1]] = not value if isinstance(value, bool) else value + 1
    else:
        at[path[-1]] = f"{value[:-1]}!" if isinstance(value, str) and value else "!"
    return copied


def test_any_changed_value_of_any_block_is_named() -> None:
    documents = blocks(4, with_entries=True)
    unseen = set()
    for place, document in enumerate(documents):
        for path in leaves(document):
            forged = [*documents[:place], changed(document, path), *documents[place + 1 :]]
            if not faults(forged):
                unseen.add(path)
    # How far the shard is on the bus is a hint for its next owner, no part of what was decided.
    assert unseen == {("sent_to",)}


def test_a_fault_is_named_once_and_the_rest_of_the_chain_is_still_checked() -> None:
    documents = flipped(copy.deepcopy(blocks(8)))
    documents[6]["at"] = "2026-01-02T03:04:06+00:00"
    assert faults(documents) == [
        f"the contents of block {number} do not give its hash: it was changed" for number in (4, 7)
    ]


def test_a_rewritten_suffix_shows_only_against_an_anchor() -> None:
    documents = blocks(8)
    forged = rewritten(documents, 4)
    assert faults(forged) == []
    assert faults(forged, Head(1, 6, documents[5]["hash"])) == [
        "block 6 is not the one that was anchored: the chain was written again from there or before"
    ]


def test_a_lost_end_shows_only_against_an_anchor() -> None:
    documents = blocks(8)
    assert faults(documents[:6]) == []
    assert faults(documents[:6], Head(1, 8, documents[7]["hash"])) == [
        "it ends at block 6; blocks 7 to 8 were anchored and are gone"
    ]


def record_chain(documents: Documents, anchored: Head | None = None) -> RecordChain:
    chain = RecordChain("topic/winnow.tasks.v1/0", anchored)
    for document in documents:
        chain.take(document)
    return chain


def test_records_are_compared_with_their_anchor() -> None:
    head = record_chain(records(8)).head
    assert record_chain(records(9), head).faults() == []
    changed = records(9)
    changed[2]["body"] = "another"
    said = [fault.text for fault in record_chain(changed, head).faults()]
    assert said == ["the records up to offset 7 are not those that were anchored"]
    gone = [fault.text for fault in record_chain(records(6), head).faults()]
    assert gone == ["it ends at offset 5; the records up to 7 were anchored and are gone"]


def test_records_deleted_since_the_anchor_are_a_note_and_no_fault() -> None:
    head = record_chain(records(8)).head
    chain = record_chain(records(9)[2:], head)
    assert chain.faults() == []
    assert "only the archive" in chain.notes[0]


def test_records_out_of_order_are_named() -> None:
    swapped_records = records(4)
    swapped_records[1], swapped_records[2] = swapped_records[2], swapped_records[1]
    said = [fault.text for fault in record_chain(swapped_records).faults()]
    assert said == ["the record of offset 1 stands after that of 2: records were swapped"]

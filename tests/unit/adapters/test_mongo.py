"""The translator of the database driver's errors."""

from __future__ import annotations

import pytest
from pymongo.errors import AutoReconnect, BulkWriteError, DuplicateKeyError, OperationFailure, PyMongoError

from winnow.adapters.mongo import Duplicate, answering, duplicates_of
from winnow.contracts.errors import Unavailable


def _fault(position: int, code: int) -> dict[str, int]:
    return {"index": position, "code": code}


@answering()
async def _fail(error: Exception) -> None:
    raise error


@pytest.mark.parametrize(
    "error",
    [
        AutoReconnect("gone"),
        OperationFailure("not primary", 10107),
        BulkWriteError({"writeErrors": [_fault(0, 11000), _fault(1, 121)]}),
        BulkWriteError({"writeErrors": [], "writeConcernErrors": [{"code": 64}]}),
    ],
)
async def test_the_database_is_unavailable_whatever_fails_but_a_duplicate(error: PyMongoError) -> None:
    with pytest.raises(Unavailable) as raised:
        await _fail(error)
    assert raised.value.__cause__ is error


@pytest.mark.parametrize(
    ("error", "positions"),
    [
        (DuplicateKeyError("there already", 11000), (0,)),
        (BulkWriteError({"writeErrors": [_fault(1, 11000), _fault(4, 11000)]}), (1, 4)),
    ],
)
async def test_a_duplicate_names_the_writes_that_lost(
    error: PyMongoError, positions: tuple[int, ...]
) -> None:
    with pytest.raises(Duplicate) as raised:
        await _fail(error)
    assert raised.value.args == positions
    assert await duplicates_of(_fail(error)) == positions


async def test_an_error_that_is_not_the_drivers_stays_what_it_is() -> None:
    with pytest.raises(ValueError, match="a bug"):
        await _fail(ValueError("a bug"))

"""One place where a driver's failure is named."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from pymongo.errors import DuplicateKeyError, PyMongoError

from winnow.contracts.errors import Unavailable

P = ParamSpec("P")
R = TypeVar("R")


Call = Callable[P, Coroutine[Any, Any, R]]


def answering(call: Call[P, R]) -> Call[P, R]:
    """Raise Unavailable where ``call`` raises an error of the driver; a duplicate key stays what it is."""

    @wraps(call)
    async def named(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await call(*args, **kwargs)
        except DuplicateKeyError:
            raise
        except PyMongoError as error:
            raise Unavailable("The database does not answer.") from error

    return named

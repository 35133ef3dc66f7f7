"""One place where a call to the database is counted and its failure named."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from pymongo.errors import DuplicateKeyError, PyMongoError

from winnow.contracts.errors import Unavailable
from winnow.runtime import metrics

P = ParamSpec("P")
R = TypeVar("R")


Call = Callable[P, Coroutine[Any, Any, R]]


def database_call(operation: str) -> Callable[[Call[P, R]], Call[P, R]]:
    """Count calls by operation and turn the driver's errors into Unavailable."""

    def decorate(call: Call[P, R]) -> Call[P, R]:
        @wraps(call)
        async def counted(*args: P.args, **kwargs: P.kwargs) -> R:
            metrics.DATABASE_CALLS.labels(operation).inc()
            try:
                return await call(*args, **kwargs)
            except DuplicateKeyError:
                raise
            except PyMongoError as error:
                raise Unavailable("The database does not answer.") from error

        return counted

    return decorate

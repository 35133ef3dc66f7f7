"""One gRPC call: a deadline, and the other side's error as ours."""

from __future__ import annotations

from typing import Any, Final, Protocol, TypeVar

import grpc
import grpc.aio

from winnow.contracts.errors import ErrorCode, NotFound, Refused, Unavailable, WinnowError

RequestT_contra = TypeVar("RequestT_contra", contravariant=True)
ResponseT_co = TypeVar("ResponseT_co", covariant=True)

CODE_METADATA: Final = "winnow-code"
"""Trailing metadata in which a service names the error code."""

_REFUSALS: Final = frozenset(
    {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.FAILED_PRECONDITION,
        grpc.StatusCode.OUT_OF_RANGE,
        grpc.StatusCode.ALREADY_EXISTS,
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        grpc.StatusCode.ABORTED,
    }
)


class Unary(Protocol[RequestT_contra, ResponseT_co]):
    """A stub's method."""

    async def __call__(self, request: RequestT_contra, *, timeout: float) -> ResponseT_co:  # noqa: ASYNC109 (gRPC's word)
        """Call with a deadline in seconds."""
        ...


async def call(
    service: str, method: Unary[RequestT_contra, ResponseT_co], request: RequestT_contra, timeout_s: float
) -> ResponseT_co:
    """Call once; raises Refused, NotFound, or Unavailable naming the service."""
    try:
        return await method(request, timeout=timeout_s)
    except grpc.aio.AioRpcError as error:
        raise _error_of(service, error) from None


def _error_of(service: str, error: grpc.aio.AioRpcError) -> WinnowError:
    detail = error.details() or ""
    code = _code_of(error)
    if error.code() is grpc.StatusCode.NOT_FOUND and code in {None, ErrorCode.not_found}:
        return NotFound(detail or "There is no such thing.")
    if code is not None and code not in {ErrorCode.unavailable, ErrorCode.internal}:
        return Refused(code, detail.removeprefix(f"{code.value}: "))
    if error.code() in _REFUSALS:
        return Refused(ErrorCode.invalid_request, detail)
    return Unavailable(f"The {service} service does not answer.")


def _code_of(error: grpc.aio.AioRpcError) -> ErrorCode | None:
    """Read the code from the trailing metadata, else from the first word of the details."""
    trailing: Any = error.trailing_metadata() or ()
    words = [str(value) for name, value in trailing if name == CODE_METADATA]
    words.append((error.details() or "").partition(":")[0])
    return next((ErrorCode(word) for word in words if word in ErrorCode.__members__), None)

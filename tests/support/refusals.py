"""The error code that a refused gRPC call carries."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

import grpc


def code_of(refused: grpc.aio.AioRpcError) -> str | None:
    """Return the error code in the trailing metadata of a refusal, or None where it has none."""
    # The stubs call an item a record with two fields; grpc hands out pairs.
    pairs = cast("Iterable[tuple[str, str]]", refused.trailing_metadata() or ())
    return dict(pairs).get("winnow-code")

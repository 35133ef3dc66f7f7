"""The API's document of the test process: FastAPI takes half a second to write it."""

from __future__ import annotations

from functools import cache
from typing import Any

from services.ingest.api import openapi_document


@cache
def api_document() -> dict[str, Any]:
    """Return the same document to every test; nothing changes it."""
    return openapi_document()

"""The documentation page needs no other host than the API's own."""

from __future__ import annotations

import re
from typing import Any

import httpx

from services.ingest.api.app_factory import UseCases, build_app

_ALLOWED = {"'self'", "'none'", "data:"}


async def test_the_page_and_everything_it_loads_come_from_here() -> None:
    nothing: Any = None
    app = build_app(UseCases(*[nothing] * 8), credit_value_usd_micro=0)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://here") as http:
        page = await http.get("/docs")
        assert page.status_code == 200
        policy = dict(part.split(maxsplit=1) for part in page.headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'self'"
        assert {source for sources in policy.values() for source in sources.split()} <= _ALLOWED
        assert set(policy) >= {"base-uri", "form-action", "frame-ancestors"}, "these do not fall back"
        assert policy["img-src"] == "'self' data:"
        loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
        assert len(loaded) == 3
        for path in [*loaded, "/openapi.json"]:
            assert path.startswith("/")
            answer = await http.get(path)
            assert answer.status_code == 200, path
            assert answer.content

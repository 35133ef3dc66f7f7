"""A server on loopback that answers for the public API and notes what it was asked."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from typer.testing import CliRunner, Result

from winnow.cli.main import app

Answers = dict[str, list[Any]]
"""By "METHOD path": a (status, JSON or bytes) for each call, the last of them for all that follow."""


class Asked:
    """A server's address and the requests that it got: method and path, headers in lower case, body."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.requests: list[tuple[str, dict[str, str], bytes]] = []

    def winnow(self, *arguments: str) -> Result:
        """Run a command against the server, with a key that is no secret."""
        env = {"WINNOW_API_URL": self.url, "WINNOW_API_KEY": "wk_mine", "WINNOW_ADMIN_TOKEN": "root"}
        result = CliRunner().invoke(app, list(arguments), env=env, terminal_width=200)
        assert "Traceback" not in result.output
        return result


@contextmanager
def api(answers: Answers) -> Iterator[Asked]:
    class _Requests(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            name = f"{self.command} {self.path.partition('?')[0]}"
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {key.lower(): value for key, value in self.headers.items()}
            asked.requests.append((f"{self.command} {self.path}", headers, body))
            left = answers[name]
            status, document = left.pop(0) if len(left) > 1 else left[0]
            content = document if isinstance(document, bytes) else json.dumps(document).encode()
            self.send_response(status)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815 (the library calls them)

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), _Requests)
    asked = Asked(f"http://127.0.0.1:{server.server_address[1]}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield asked
    finally:
        server.shutdown()
        server.server_close()


def output(url: str | None, content: bytes, rank: int = 1) -> dict[str, Any]:
    return {
        "output_id": f"out_{rank}",
        "candidate_id": f"cand_{rank}",
        "rank": rank,
        "score": 97.0,
        "sha256": hashlib.sha256(content).hexdigest(),
        "content_type": "image/png",
        "size_bytes": len(content),
        "width": 8,
        "height": 8,
        "url": url,
    }


TASK = {
    "id": "task_1",
    "state": "delivered",
    "complete": True,
    "template": {"name": "studio_headshot", "version": 1},
    "mode": "low_cost",
    "profile": {"name": "headshot", "version": 1},
    "k": 2,
    "funnel": {},
    "failure_reasons": {},
    "rounds": [],
    "outputs_count": 2,
    "label": "spring [/x]",
    "created_at": "2026-01-01T00:00:00Z",
    "deadline_at": "2026-01-01T00:05:00Z",
}
BILL = {
    "is_final": True,
    "promised_count": 2,
    "delivered_count": 2,
    "price_per_output_credits_micro": 60_000,
    "price_rule": "prices.v1",
    "reserved_credits_micro": 120_000,
    "charged_credits_micro": 120_000,
    "released_credits_micro": 0,
    "refunded_credits_micro": 0,
    "explanation": ["Because."],
}
GRANT = "POST /v1/admin/accounts/acct_me/grants"

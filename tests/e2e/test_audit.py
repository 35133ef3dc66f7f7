"""The record, folded from the topics, equals every task and balance that the stories before left behind."""

from __future__ import annotations

import asyncio
import os
import sys

from tests.support.line import RunningLine


async def test_audit_verify_finds_no_difference(line: RunningLine) -> None:
    async with line.client() as client:
        await client.end(await client.order(k=1))
    code, said = await _winnow(line, "audit", "verify")
    assert code == 0, said


async def test_audit_verify_notices_a_record_that_lost_an_event(line: RunningLine) -> None:
    """An event that only the record has must show: here an entry for an account that the ledger does not know."""
    await line.forge_entry("acct_forged")
    code, said = await _winnow(line, "audit", "verify")
    assert code != 0
    assert "acct_forged" in said


async def _winnow(line: RunningLine, *arguments: str) -> tuple[int, str]:
    env = os.environ | {
        "WINNOW_API_URL": line.line.api_url,
        "WINNOW_ADMIN_TOKEN": line.line.admin_token,
        "WINNOW_KAFKA_BOOTSTRAP": line.kafka_bootstrap,
        "WINNOW_LEDGER_GRPC": line.line.grpc_address("ledger"),
        "COLUMNS": "200",
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "winnow.cli.main",
        *arguments,
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await asyncio.wait_for(process.communicate(), 120)
    return process.returncode or 0, said.decode()

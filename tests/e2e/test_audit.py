"""The record, folded from the topics, equals every task and balance that the stories before left behind."""

from __future__ import annotations

from tests.support.servers.line import RunningLine


async def test_audit_verify_finds_no_difference(line: RunningLine) -> None:
    async with line.client() as client:
        await client.end(await client.order(k=1))
    code, said = await line.winnow("audit", "verify")
    assert code == 0, said


async def test_audit_verify_notices_a_record_that_lost_an_event(line: RunningLine) -> None:
    """An event that only the record has must show: here an entry for an account that the ledger does not know."""
    await line.forge_entry("acct_forged")
    code, said = await line.winnow("audit", "verify")
    assert code != 0
    assert "acct_forged" in said

"""The record, folded from the topics, equals every task and balance that the stories before left behind.

Topics alone, journals alone and an archive prove the same.
"""

from __future__ import annotations

import json
from typing import Any

from tests.bench.counts import when_quiet
from tests.support.servers.line import RunningLine


async def audit(line: RunningLine, *arguments: str) -> tuple[int, dict[str, Any]]:
    code, said = await line.winnow("audit", "verify", *arguments, "--json")
    return code, json.loads(said)


async def test_audit_verify_finds_no_difference(line: RunningLine) -> None:
    async with line.client() as client:
        await client.end(await client.order(k=1))
    code, said = await line.winnow("audit", "verify")
    assert code == 0, said


async def test_each_source_alone_is_sound_and_both_tell_the_same(line: RunningLine) -> None:
    async with line.client() as client:
        for _ in range(2):
            task = await client.end(await client.order(k=1))
            assert task["state"] == "delivered"
    code, topics = await audit(line, "--from", "topics")
    assert (code, topics["findings"]) == (0, [])
    code, journals = await audit(line, "--from", "journals")
    assert (code, journals["findings"]) == (0, [])
    for name in ("tasks", "accounts", "entries", "routing choices"):
        assert topics["counts"][name] == journals["counts"][name] > 0, name
    assert topics["counts"]["verdicts"] > 0
    services = {lane["lane"].split("/")[1] for lane in journals["lanes"]}
    assert services == {"ledger", "router", "delivery", "ingest", "ingest-api"}


async def test_an_archive_in_the_object_store_grows_by_what_is_new(line: RunningLine) -> None:
    address = "s3://winnow-private/archive-of-a-test"
    await when_quiet(line)
    code, said = await line.winnow("audit", "archive", "--archive", address)
    assert code == 0, said
    code, said = await line.winnow("audit", "archive", "--archive", address)
    assert (code, said[:7]) == (0, "0 items"), said
    code, found = await audit(line, "--from", "archive", "--archive", address)
    assert (code, found["findings"]) == (0, [])


async def test_audit_verify_notices_a_record_that_lost_an_event(line: RunningLine) -> None:
    """An event that only the record has must show: here an entry for an account that the ledger does not know."""
    await line.forge_entry("acct_forged")
    code, said = await line.winnow("audit", "verify")
    assert code != 0
    assert "acct_forged" in said

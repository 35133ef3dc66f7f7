"""Commands for accounts and keys: balance, grants, entries, keys listed and refused."""

from __future__ import annotations

import json

from tests.unit.cli.fake_api import GRANT, Answers, api


def test_a_grant_is_repeated_under_one_key_until_the_ledger_has_booked_it() -> None:
    with api({GRANT: [(202, {"applied": False}), (202, {"applied": True, "grant_id": "g"})]}) as server:
        result = server.winnow("grant", "acct_me", "0.25", "--expires", "2099-01-01")
    assert (result.exit_code, result.output) == (
        0,
        "Granted 0.25 credits to acct_me, until 2099-01-01 00:00 UTC.\n",
    )
    first, second = server.requests
    assert first[1]["idempotency-key"] == second[1]["idempotency-key"]
    assert first[1]["authorization"] == "Bearer root"
    body = {"amount_credits_micro": 250_000, "source": "topup", "expires_at": "2099-01-01T00:00:00+00:00"}
    assert json.loads(first[2]) == json.loads(second[2]) == body


def test_a_grant_that_the_ledger_never_books_is_no_success() -> None:
    with api({GRANT: [(202, {"applied": False})]}) as server:
        result = server.winnow("grant", "acct_me", "1")
    assert result.exit_code == 1
    assert "not booked it yet" in result.output
    assert "winnow logs ledger" in result.output


def test_an_amount_that_is_none_is_refused_before_anything_is_asked() -> None:
    with api({}) as server:
        result = server.winnow("grant", "acct_me", "ten")
    assert result.exit_code == 1
    assert "Write it like 0.25." in result.output
    assert server.requests == []


def test_an_account_shows_balance_grants_and_entries() -> None:
    account = {
        "account_id": "acct_me",
        "available_credits_micro": 1_500_000,
        "held_credits_micro": 0,
        "settled_credits_micro": 500_000,
        "grants": [
            {
                "grant_id": "grant_1",
                "source": "promo",
                "granted_credits_micro": 2_000_000,
                "left_credits_micro": 1_500_000,
                "expires_at": None,
            }
        ],
    }
    entry = {
        "entry_id": "ent_1",
        "kind": "grant",
        "amount_credits_micro": 2_000_000,
        "occurred_at": "2026-01-01T00:00:00Z",
        "task_id": None,
        "reason": "",
        "available_credits_micro": 2_000_000,
        "held_credits_micro": 0,
    }
    answers: Answers = {
        "GET /v1/account": [(200, account)],
        "GET /v1/account/entries": [(200, {"entries": [entry], "next_cursor": None})],
    }
    with api(answers) as server:
        text = server.winnow("account", "--entries", "3").output
        document = json.loads(server.winnow("account", "--json").output)
    for expected in ("acct_me", "1.50 credits", "promo", "never", "grant", "2026-01-01 00:00:00"):
        assert expected in text
    assert "limit=3" in server.requests[1][0]
    assert document == account


def test_a_key_that_is_refused_is_said_with_its_code() -> None:
    problem = {"code": "key_revoked", "detail": "This key was revoked."}
    with api({"GET /v1/account": [(401, problem)]}) as server:
        result = server.winnow("account")
    assert result.exit_code == 1
    assert "This key was revoked. (key_revoked)" in result.output
    assert "wk_mine" not in result.output


def test_keys_are_listed_as_json_without_those_that_are_revoked() -> None:
    key = {
        "key_id": "key_1",
        "account_id": "acct_me",
        "scopes": ["tasks:read"],
        "label": "",
        "created_at": "2026-01-01T00:00:00Z",
        "expires_at": None,
        "revoked_at": None,
    }
    revoked = key | {"key_id": "key_2", "revoked_at": "2026-01-02T00:00:00Z"}
    with api({"GET /v1/admin/keys": [(200, {"keys": [key, revoked]})]}) as server:
        valid = json.loads(server.winnow("keys", "list", "--json").output)
        everything = json.loads(server.winnow("keys", "list", "--json", "--revoked").output)
        text = server.winnow("keys", "list").output
    assert ([listed["key_id"] for listed in valid], len(everything)) == (["key_1"], 2)
    assert "key_1" in text
    assert "key_2" not in text

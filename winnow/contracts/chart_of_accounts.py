"""Accounts of the books, by name: the ledger's postings move them, the audit adds them up again."""

from __future__ import annotations

from typing import Final

REVENUE: Final = "house:revenue"
BREAKAGE: Final = "house:breakage"
PROVIDER_COST: Final = "house:provider_cost"
PROVIDER_VARIANCE: Final = "house:provider_cost_variance"
PROVIDER_PAYABLE: Final = "house:provider_payable"


def available_of(account_id: str) -> str:
    """Name the account of what a customer can spend."""
    return f"customer:{account_id}:available"


def held_of(account_id: str) -> str:
    """Name the account of what is reserved for a customer's tasks."""
    return f"customer:{account_id}:held"


def grants_of(source: str) -> str:
    """Name the account that grants of a source come out of."""
    return f"house:grants:{source}"

"""Order of paying credits: the lots of an account, kept from the entries alone."""

from __future__ import annotations

from datetime import datetime
from typing import Any


class Unbalanced(Exception):  # noqa: N818
    """The books are wrong."""


def expect(holds: object, text: str) -> None:
    """Raise Unbalanced unless it holds."""
    if not holds:
        raise Unbalanced(text)


class Lots:
    """Rest of each grant. Once credits came back to an expired grant the entries do not say where to:
    from then on only the sums and the expiry are checked, not the order of burning."""

    def __init__(self) -> None:
        self._left: dict[str, int] = {}
        self._held: dict[str, dict[str, int]] = {}
        self._exact = True

    def entry(self, entry: dict[str, Any], grants: dict[str, dict[str, Any]]) -> None:
        """Fold an entry."""
        kind, amount = entry["kind"], entry["amount_credits_micro"]
        moved = {lot["grant_id"]: lot["amount_credits_micro"] for lot in entry["lots"]}
        if kind == "grant":
            self._left[entry["grant_id"]] = amount
        elif kind == "reserve":
            self._reserve(entry, moved, grants)
        elif kind in {"settle", "release", "expire_reservation"}:
            self._end(entry, moved, grants)
        elif kind == "refund":
            self._give_back(moved, grants, entry["occurred_at"])
        elif kind == "expire_grant":
            left = self._left.get(entry["grant_id"], 0)
            expect(not self._exact or left == amount, f"{entry['grant_id']}: {amount} expire of {left}")
            self._left[entry["grant_id"]] = left - amount

    def _reserve(
        self, entry: dict[str, Any], moved: dict[str, int], grants: dict[str, dict[str, Any]]
    ) -> None:
        at, amount = entry["occurred_at"], entry["amount_credits_micro"]
        expect(sum(moved.values()) == amount, f"{entry['reservation_id']}: the lots do not sum to the hold")
        for lot in moved:
            expect(_expiry(grants, lot) > _moment(at), f"{lot} was spent after it had expired")
        if self._exact:
            expect(moved == self._burnt(amount, at, grants), f"{entry['reservation_id']}: burnt {moved}")
        for key, part in moved.items():
            self._left[key] = self._left.get(key, 0) - part
            expect(not self._exact or self._left[key] >= 0, f"{key} is overdrawn")
        self._held[entry["reservation_id"]] = moved

    def _burnt(self, amount: int, at: str, grants: dict[str, dict[str, Any]]) -> dict[str, int]:
        """Take from the lot that expires soonest, promo before others, the older one first."""
        order = list(self._left)
        usable = [lot for lot in order if self._left[lot] and _expiry(grants, lot) > _moment(at)]
        usable.sort(
            key=lambda lot: (_expiry(grants, lot), grants[lot]["source"] != "promo", order.index(lot))
        )
        taken: dict[str, int] = {}
        for lot in usable:
            part = min(amount, self._left[lot])
            amount -= part
            if part:
                taken[lot] = part
        return taken

    def _end(self, entry: dict[str, Any], moved: dict[str, int], grants: dict[str, dict[str, Any]]) -> None:
        held = self._held.pop(entry["reservation_id"], None)
        if held is None:
            return
        charged = moved if entry["kind"] == "settle" else {}
        expect(
            all(charged[lot] <= held.get(lot, 0) for lot in charged), "charged from a lot that was not held"
        )
        self._give_back(
            {key: part - charged.get(key, 0) for key, part in held.items()}, grants, entry["occurred_at"]
        )

    def _give_back(self, parts: dict[str, int], grants: dict[str, dict[str, Any]], at: str) -> None:
        for key, part in parts.items():
            if part and (key not in grants or _expiry(grants, key) <= _moment(at)):
                self._exact = False
            self._left[key] = self._left.get(key, 0) + part


def _expiry(grants: dict[str, dict[str, Any]], grant_id: str) -> datetime:
    expires_at = grants.get(grant_id, {}).get("expires_at")
    return _moment(expires_at or "9999-01-01T00:00:00Z")


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)

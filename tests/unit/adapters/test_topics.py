"""Topics are created once, waited for, and refused with another number of partitions."""

from __future__ import annotations

from typing import Any

import pytest

from winnow.adapters import topics
from winnow.contracts.errors import Unavailable

_SHARDS = 4
_UNKNOWN_TOPIC = 3


class _Answer:
    topic_errors: tuple[tuple[str, int], ...] = ()


class Admin:
    """A broker that shows a created topic only after it was asked ``behind`` times."""

    def __init__(self, behind: int, *, partitions: int = _SHARDS) -> None:
        self.created: list[str] = []
        self.closed = False
        self._behind = behind
        self._partitions = partitions

    async def list_topics(self) -> list[str]:
        return []

    async def create_topics(self, wanted: list[Any]) -> _Answer:
        self.created += [topic.name for topic in wanted]
        return _Answer()

    async def describe_topics(self, names: list[str]) -> list[dict[str, Any]]:
        self._behind -= 1
        if self._behind >= 0:
            return [{"topic": task, "error_code": _UNKNOWN_TOPIC, "partitions": []} for task in names]
        return [{"topic": task, "error_code": 0, "partitions": [{}] * self._partitions} for task in names]

    async def close(self) -> None:
        self.closed = True


def _stand_in(monkeypatch: pytest.MonkeyPatch, admin: Admin) -> None:
    async def connect(bootstrap: str, within_s: float) -> Admin:
        return admin

    monkeypatch.setattr(topics, "_connect", connect)


async def test_created_topics_are_waited_for_until_the_broker_shows_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    admin = Admin(behind=2)
    _stand_in(monkeypatch, admin)
    created = await topics.apply_topics("bus", shards=_SHARDS, replicas=1)
    assert created == admin.created
    assert admin.closed


async def test_topics_that_never_show_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    _stand_in(monkeypatch, Admin(behind=1_000_000))
    with pytest.raises(Unavailable, match=r"does not exist: run `winnow topics apply`"):
        await topics.apply_topics("bus", shards=_SHARDS, replicas=1, within_s=0.2)


async def test_a_service_that_starts_does_not_wait_for_topics(monkeypatch: pytest.MonkeyPatch) -> None:
    _stand_in(monkeypatch, Admin(behind=1))
    with pytest.raises(Unavailable, match="does not exist"):
        await topics.check_topics("bus", ["a"], shards=_SHARDS)


async def test_another_number_of_partitions_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _stand_in(monkeypatch, Admin(behind=0, partitions=3))
    with pytest.raises(Unavailable, match="has 3 partitions, but the deployment has 4 shards"):
        await topics.apply_topics("bus", shards=_SHARDS, replicas=1)

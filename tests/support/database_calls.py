"""Database calls of this process since a moment, read from its own metrics."""

from __future__ import annotations

from collections import Counter
from typing import Any

from winnow.runtime import metrics


class Counted:
    """The calls and documents since it was made, by ``"command collection"``."""

    def __init__(self) -> None:
        self._before = _read(metrics.DATABASE_CALLS), _read(metrics.DATABASE_DOCUMENTS)

    @property
    def calls(self) -> dict[str, int]:
        return dict(_read(metrics.DATABASE_CALLS) - self._before[0])

    @property
    def documents(self) -> dict[str, int]:
        return dict(_read(metrics.DATABASE_DOCUMENTS) - self._before[1])


def _read(metric: Any) -> Counter[str]:
    return Counter(
        {
            f"{sample.labels['operation']} {sample.labels['collection']}": int(sample.value)
            for sample in metric.collect()[0].samples
            if sample.name.endswith("_total")
        }
    )

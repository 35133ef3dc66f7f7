"""Builders of selections, outputs and endpoints."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from PIL import Image

from services.delivery.domain.endpoints import Endpoint
from services.delivery.domain.messages import SelectionReceived
from winnow.contracts.events import TaskSelected
from winnow.contracts.ids import Prefix, derive_id
from winnow.contracts.values import Output, ProfileRef, ProviderCost, SelectedCandidate, StoredObject

NOW = datetime(2026, 11, 21, 9, 0, tzinfo=UTC)
ACCOUNT = "acct_a"
PRICE = 1_500_000


def task_id(name: str = "one") -> str:
    return derive_id(Prefix.task, name)


def candidate_id(index: int, task: str = "one") -> str:
    return derive_id(Prefix.candidate, task, index)


def image_bytes(
    kind: str = "JPEG", *, size: tuple[int, int] = (640, 480), mode: str = "RGB", **save: object
) -> bytes:
    gradient = Image.linear_gradient("L")
    turned = [
        gradient,
        gradient.transpose(Image.Transpose.ROTATE_180),
        gradient.transpose(Image.Transpose.ROTATE_90),
    ]
    image = Image.merge("RGB", [channel.resize(size) for channel in turned])
    buffer = io.BytesIO()
    image.convert(mode).save(buffer, kind, **save)
    return buffer.getvalue()


def stored(content: bytes, key: str = "candidates/x", content_type: str = "image/jpeg") -> StoredObject:
    return StoredObject(
        bucket="private",
        key=key,
        sha256=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        content_type=content_type,
    )


def selected(index: int, content: bytes = b"picture", task: str = "one") -> SelectedCandidate:
    return SelectedCandidate(
        candidate_id=candidate_id(index, task),
        rank=index + 1,
        score=90.0 - index,
        stored=stored(content, f"candidates/{task}/{index}"),
    )


def selection(
    k: int = 2,
    candidates: Sequence[SelectedCandidate] | None = None,
    *,
    task: str = "one",
    reserved: int | None = None,
) -> TaskSelected:
    chosen = [selected(index, task=task) for index in range(k)] if candidates is None else list(candidates)
    return TaskSelected(
        task_id=task_id(task),
        account_id=ACCOUNT,
        k=k,
        profile=ProfileRef(name="headshot", version=1),
        selected=chosen,
        set_aside=[],
        reason="first_k",
        reservation_id=derive_id(Prefix.reservation, task),
        price_per_output_credits_micro=PRICE,
        reserved_credits_micro=k * PRICE if reserved is None else reserved,
        cost=ProviderCost(expected_usd_micro=40_000, actual_usd_micro=38_000, attempts_count=4),
    )


def selection_received(event: TaskSelected | None = None) -> SelectionReceived:
    return SelectionReceived(event or selection(), "request-1")


def output(index: int, task: str = "one") -> Output:
    candidate = selected(index, task=task)
    return Output(
        output_id=derive_id(Prefix.output, candidate.candidate_id),
        candidate_id=candidate.candidate_id,
        rank=candidate.rank,
        score=candidate.score,
        stored=stored(b"finished", f"outputs/{index}"),
        thumbnail=stored(b"small", f"thumbs/{index}", "image/webp"),
    )


def endpoint(name: str = "one", url: str = "https://example.com/hook", **changes: Any) -> Endpoint:
    made = Endpoint(derive_id(Prefix.endpoint, name), ACCOUNT, url, (), enabled=True, created_at=NOW)
    return replace(made, **changes)

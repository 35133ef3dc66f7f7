"""The use cases beside portraits and products, from the order to the delivered file."""

from __future__ import annotations

import hashlib

import cv2
import httpx

from tests.support.opencv import decoded
from tests.support.servers.line import RunningLine


async def test_advertisements_are_judged_by_the_words_and_colours_of_the_order(line: RunningLine) -> None:
    async with line.client() as client:
        right, wrong = [
            await client.order(
                template="ad_creative",
                k=1,
                prompt='ad creative "MORNING BREW" #1b4d3e',
                copy_text=copy,
                brand_colours=["#1b4d3e"],
            )
            for copy in ("MORNING BREW", "CLOSED FOR EVER")
        ]
        delivered, failed = await client.end(right), await client.end(wrong)
        assert delivered["state"] == "delivered", delivered["end"]
        assert failed["state"] == "failed"
        for candidate in await client.candidates(wrong):
            assert "copy_distance:below_threshold" in candidate["reasons"]


async def test_cut_outs_are_delivered_with_their_transparency(line: RunningLine) -> None:
    async with line.client() as client:
        task_id = await client.order(template="background_removal", k=1, prompt="a coffee cup")
        task = await client.end(task_id)
        assert task["state"] == "delivered", task["end"]
        (output,) = (await client.get(f"/v1/tasks/{task_id}/outputs"))["outputs"]
        async with httpx.AsyncClient(timeout=30) as files:
            content = (await files.get(output["url"])).content
        assert hashlib.sha256(content).hexdigest() == output["sha256"]
        picture = decoded(content, cv2.IMREAD_UNCHANGED)
        assert picture.shape == (1024, 1024, 4)
        assert (picture[..., 3] == 0).mean() > 0.2

"""The simulated OpenAI images, driven by OpenAI's own client."""

import base64
from typing import Any

import cv2
import httpx
import openai
import pytest

from simulators.openai_images import USD_MICRO_PER_OUTPUT_TOKEN
from tests.support.opencv import decoded

MODEL = "gpt-image-2"


@pytest.fixture
def client(openai_api: Any) -> Any:
    with openai.OpenAI(api_key="a-key", base_url=f"{openai_api.url}/v1", max_retries=0, timeout=20) as made:
        yield made


def test_generate_gives_base64_pictures_and_usage(openai_api: Any, client: openai.OpenAI) -> None:
    answer = client.images.generate(
        model=MODEL, prompt="a headshot", n=2, size="1024x1024", quality="low", output_format="jpeg"
    )

    pictures = [base64.b64decode(image.b64_json or "") for image in answer.data or []]
    assert [picture[:3] for picture in pictures] == [b"\xff\xd8\xff"] * 2
    assert (answer.size, answer.quality, answer.output_format) == ("1024x1024", "low", "jpeg")
    assert answer.usage is not None
    assert answer.usage.output_tokens * USD_MICRO_PER_OUTPUT_TOKEN == openai_api.ledger()["billed_usd_micro"]


def test_default_format_is_png(client: openai.OpenAI) -> None:
    answer = client.images.generate(model=MODEL, prompt="x", size="256x256")

    assert base64.b64decode((answer.data or [])[0].b64_json or "")[:4] == b"\x89PNG"


def test_moderation_is_refused_with_the_vendors_code(openai_api: Any, client: openai.OpenAI) -> None:
    openai_api.control(filtered_next=1)
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(model=MODEL, prompt="x")

    assert (caught.value.code, caught.value.type) == ("moderation_blocked", "image_generation_user_error")
    assert openai_api.ledger()["lines"] == []


def test_too_many_requests_is_retried_after_the_stated_wait(openai_api: Any, client: openai.OpenAI) -> None:
    openai_api.control(too_many_next=1, retry_after_s=1)
    answer = client.with_options(max_retries=1).images.generate(model=MODEL, prompt="x", size="256x256")

    assert answer.data
    assert len(openai_api.ledger()["lines"]) == 1


def test_too_many_requests_carries_retry_after(openai_api: Any, client: openai.OpenAI) -> None:
    openai_api.control(too_many_next=1, retry_after_s=9)
    with pytest.raises(openai.RateLimitError) as caught:
        client.images.generate(model=MODEL, prompt="x")

    assert caught.value.response.headers["retry-after"] == "9"
    assert caught.value.code == "rate_limit_exceeded"


def test_lost_reply_is_billed_though_the_client_gets_nothing(openai_api: Any, client: openai.OpenAI) -> None:
    openai_api.control(lost_reply_next=1)
    with pytest.raises(openai.APIConnectionError):
        client.images.generate(model=MODEL, prompt="x", size="256x256")

    assert [line["reply_lost"] for line in openai_api.ledger()["lines"]] == [True]
    assert openai_api.ledger()["billed_usd_micro"] == 3000


def test_hanging_call_is_neither_answered_nor_billed(openai_api: Any, client: openai.OpenAI) -> None:
    openai_api.control(hang_next=1)
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.5).images.generate(model=MODEL, prompt="x")

    assert openai_api.ledger()["lines"] == []


def test_empty_success_has_no_picture(openai_api: Any, client: openai.OpenAI) -> None:
    openai_api.control(empty_next=1)

    assert client.images.generate(model=MODEL, prompt="x").data == []


@pytest.mark.parametrize(
    ("field", "value"), [("n", 11), ("size", "1000x1000"), ("quality", "superb"), ("prompt", ""), ("seed", 4)]
)
def test_invalid_parameter_is_named(openai_api: Any, field: str, value: object) -> None:
    body = {"model": MODEL, "prompt": "x"} | {field: value}
    answer = httpx.post(
        f"{openai_api.url}/v1/images/generations", json=body, headers={"authorization": "Bearer k"}
    )

    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == field


def test_missing_key_is_refused_in_the_vendors_shape(openai_api: Any) -> None:
    answer = httpx.post(f"{openai_api.url}/v1/images/generations", json={"prompt": "x"})

    assert answer.status_code == 401
    assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_transparent_background_gives_a_cut_out_and_is_no_jpeg(client: openai.OpenAI) -> None:
    answer = client.images.generate(
        model=MODEL, prompt="a cup", size="512x512", background="transparent", output_format="png"
    )

    content = base64.b64decode((answer.data or [])[0].b64_json or "")
    alpha = decoded(content, cv2.IMREAD_UNCHANGED)[..., 3]
    assert answer.background == "transparent"
    assert (alpha == 0).mean() > 0.2
    assert (alpha == 255).mean() > 0.1
    with pytest.raises(openai.BadRequestError):
        client.images.generate(model=MODEL, prompt="x", background="transparent", output_format="jpeg")

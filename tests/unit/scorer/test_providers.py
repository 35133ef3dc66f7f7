"""A demanded provider is in use or the start fails with words; the order is TensorRT, CUDA, CPU."""

from __future__ import annotations

import onnxruntime
import pytest

from services.scorer.inference.device_protocol import Device
from services.scorer.inference.providers import (
    CPU,
    ProviderUnusable,
    candidates,
    confirm,
    open_session,
    providers_of,
)
from tests.unit.scorer.towers import image_tower

HERE = set(onnxruntime.get_available_providers())


def names(device: Device, *, sized: bool = True) -> list[str]:
    return [name for name, _ in providers_of(device, sized=sized, cache_dir="/cache")]


def test_providers_come_in_order_and_tensorrt_only_for_fixed_sizes() -> None:
    cuda = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    assert names(Device.tensorrt) == ["TensorrtExecutionProvider", *cuda]
    assert names(Device.tensorrt, sized=False) == cuda
    assert names(Device.cuda) == cuda
    assert names(Device.batched_cpu) == ["CPUExecutionProvider"]


def test_values_do_not_depend_on_reduced_precision() -> None:
    options = dict(providers_of(Device.tensorrt, sized=True))
    assert options["CUDAExecutionProvider"]["use_tf32"] == "0"
    assert options["TensorrtExecutionProvider"]["trt_fp16_enable"] == "0"


def test_auto_tries_the_best_first_and_a_named_device_nothing_else() -> None:
    assert candidates(Device.auto) == (Device.tensorrt, Device.cuda)
    assert candidates(Device.cuda) == (Device.cuda,)
    assert candidates(Device.cpu) == ()


@pytest.mark.skipif("CUDAExecutionProvider" in HERE, reason="this ONNX Runtime has CUDA")
def test_a_provider_that_is_not_built_in_is_an_error_with_a_remedy() -> None:
    with pytest.raises(ProviderUnusable) as caught:
        open_session("tiny", image_tower(), providers_of(Device.cuda, sized=True))
    sentence = str(caught.value)
    assert "CUDAExecutionProvider" in sentence
    assert "CPUExecutionProvider" in sentence
    assert "onnxruntime-gpu" in sentence


def test_a_listed_provider_that_did_not_load_is_an_error() -> None:
    with pytest.raises(ProviderUnusable, match="it runs on CPUExecutionProvider"):
        confirm("tiny", "CUDAExecutionProvider", ["CPUExecutionProvider"])
    confirm("tiny", "CUDAExecutionProvider", ["CUDAExecutionProvider", "CPUExecutionProvider"])


def test_a_session_does_not_go_on_elsewhere_when_a_run_fails() -> None:
    session = open_session("tiny", image_tower(), (CPU,))
    assert session.get_providers()[0] == "CPUExecutionProvider"
    assert session._enable_fallback is False

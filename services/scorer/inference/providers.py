"""ONNX Runtime providers of a device, and the proof that a session really runs on them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import onnxruntime

from services.scorer.inference.device_protocol import Device
from services.scorer.inference.models import ModelMissing

Provider = tuple[str, dict[str, str]]

CPU: Final[Provider] = ("CPUExecutionProvider", {})
_QUIET: Final = 3
_HOW: Final = (
    "install onnxruntime-gpu in place of onnxruntime, with the CUDA and cuDNN libraries it names"
    " (and TensorRT's for tensorrt), or set WINNOW_SCORER_DEVICE=cpu"
)


class ProviderUnusable(Exception):  # noqa: N818 (the noun of the problem)
    """The demanded provider is not in use; the text names it, what there is, and how to get it."""


def candidates(device: Device) -> tuple[Device, ...]:
    """Return the devices to try, best first; none for the ordinary path."""
    if device is Device.auto:
        return (Device.tensorrt, Device.cuda)
    return () if device is Device.cpu else (device,)


def providers_of(device: Device, *, sized: bool, cache_dir: str = "") -> tuple[Provider, ...]:
    """Return the providers in order. Without a fixed size (``sized``) TensorRT is left out: it would build an engine,
    which takes minutes, for every new size.
    """  # noqa: D205
    # Reduced precision (TF32) and the search for the fastest algorithm would let values depend on the card.
    cuda = ("CUDAExecutionProvider", {"use_tf32": "0", "cudnn_conv_algo_search": "HEURISTIC"})
    if device is Device.tensorrt and sized:
        engine = {"trt_fp16_enable": "0"}
        if cache_dir:
            engine |= {
                "trt_engine_cache_enable": "1",
                "trt_engine_cache_path": cache_dir,
                "trt_timing_cache_enable": "1",
            }
        return (("TensorrtExecutionProvider", engine), cuda, CPU)
    return (cuda, CPU) if device in {Device.cuda, Device.tensorrt} else (CPU,)


def open_session(
    name: str, content: bytes, providers: Sequence[Provider] = (CPU,)
) -> onnxruntime.InferenceSession:
    """Load verified bytes on the first of ``providers``; what runs on the CPU runs on one thread.

    Raises ProviderUnusable when the session does not run there, ModelMissing when the model does not load.
    """
    demanded = providers[0][0]
    if demanded not in onnxruntime.get_available_providers():
        raise ProviderUnusable(_unusable(name, demanded))
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = _QUIET
    try:
        session = onnxruntime.InferenceSession(content, options, providers=list(providers))
    except Exception as error:
        raise ModelMissing(f"the model {name} does not load: {type(error).__name__}") from error
    confirm(name, demanded, session.get_providers())
    # At a failing run the library would quietly go on elsewhere.
    session.disable_fallback()
    return session


def confirm(name: str, demanded: str, in_use: Sequence[str]) -> None:
    """Raise ProviderUnusable unless ``demanded`` comes first: a listed provider may silently not have loaded."""
    if not in_use or in_use[0] != demanded:
        raise ProviderUnusable(_unusable(name, demanded, in_use))


def _unusable(name: str, demanded: str, in_use: Sequence[str] = ()) -> str:
    runs: Any = f"; it runs on {', '.join(in_use)}" if in_use else ""
    available = ", ".join(onnxruntime.get_available_providers())
    return f"the model {name} does not run on {demanded}{runs}; available here: {available}; {_HOW}"

"""Worker inside a scoring process: one thread, models loaded once, bounded memory and time.

Nothing heavy is imported at module level: limits must stand before the native libraries load.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Final

from services.scorer.domain.measures import Measured
from services.scorer.domain.references import NO_REFERENCES, References
from winnow.contracts.values import MeasureStatus

if TYPE_CHECKING:
    from services.scorer.engine.references import ReferenceAnalyses
    from services.scorer.vision.model_set import Models

_DIE_WITH_PARENT: Final = 1  # PR_SET_PDEATHSIG
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3
_KEPT_BLOCK_BYTES: Final = 32 * 1024**2


class _Loaded:
    """The state of the process, set by ``prepare``."""

    models: Models | None = None
    references: ReferenceAnalyses | None = None
    picture_timeout_s: float = 0.0
    prepared: bool = False


def prepare(
    memory_max_bytes: int,
    picture_timeout_s: float,
    models_dir: str = "",
    mounted_dir: str = "",
    device_address: str = "",
    frames_as_tensors: bool = False,  # noqa: FBT001, FBT002 (the pool passes what it has in order)
) -> None:
    """Set the limits of this process and load the models; a missing model leaves its dimensions unavailable.

    With a ``device_address`` the networks run in the process that serves there, and ``frames_as_tensors`` too.
    """
    ctypes.CDLL(None).prctl(_DIE_WITH_PARENT, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # The native face counter uses OpenMP, which reads this when it is loaded.
    os.putenv("OMP_NUM_THREADS", "1")
    resource.setrlimit(resource.RLIMIT_AS, (memory_max_bytes, memory_max_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    keep_freed_memory()
    _Loaded.picture_timeout_s = picture_timeout_s
    _Loaded.models = _models(models_dir, mounted_dir, device_address, frames_as_tensors=frames_as_tensors)
    _Loaded.prepared = True


def keep_freed_memory() -> None:
    """Let the allocator keep the pixels' memory for the next picture: faulting it in anew costs 0.3 ms a megapixel."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_M_MMAP_THRESHOLD, _KEPT_BLOCK_BYTES)
        libc.mallopt(_M_TRIM_THRESHOLD, 4 * _KEPT_BLOCK_BYTES)


def _models(models_dir: str, mounted_dir: str, device_address: str, *, frames_as_tensors: bool) -> Models:
    import cv2

    from services.scorer.inference.device_client import DeviceClient
    from services.scorer.inference.manifest import BUILT
    from services.scorer.vision.model_set import Models, load_here

    cv2.setNumThreads(1)
    mounted = Path(mounted_dir) if mounted_dir else None
    load = DeviceClient(device_address).load if device_address else load_here
    directory = Path(models_dir) if models_dir else BUILT
    return Models(directory, mounted, load=load, frames_as_tensors=frames_as_tensors)


def measure(content: bytes, wanted: frozenset[str], given: References = NO_REFERENCES) -> Measured:
    """Measure one encoded picture, compared with the references; the process dies when it takes longer than allowed."""
    from services.scorer.engine.measure import measure_bytes
    from services.scorer.engine.references import ReferenceAnalyses
    from services.scorer.vision.model_set import Models

    # The default action of the alarm ends the process even inside native code; the pool then answers for it.
    signal.setitimer(signal.ITIMER_REAL, _Loaded.picture_timeout_s)
    try:
        models = _Loaded.models = _Loaded.models or Models()
        references = _Loaded.references = _Loaded.references or ReferenceAnalyses(models)
        return measure_bytes(
            content,
            wanted,
            models,
            given.reference,
            given.prompt,
            references=references,
            wording=given.wording,
        )
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def warm_up(content: bytes, wanted: frozenset[str]) -> tuple[int, bool]:
    """Measure once, so that the first real picture is not the slow one; return the process id and readiness."""
    taken = measure(content, wanted)
    complete = all(measurement.status is not MeasureStatus.unavailable for measurement in taken.measurements)
    return os.getpid(), _Loaded.prepared and complete

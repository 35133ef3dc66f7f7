"""Saliency of a picture: U-2-Net's small network, slow on a CPU and so only run when asked for."""

from __future__ import annotations

from services.scorer.inference.network import Floats, Image, Network

_SPREAD_MIN = 1e-6


def salient(rgb: Image, network: Network) -> Floats:
    """Return ``(320, 320) float32`` in 0..1 of ``(H, W, 3) uint8 RGB``: 1 is what stands out most.

    The network's own output is stretched to its range, as its authors do. A picture in which nothing stands
    out therefore has large values too, and a caller must not read them as probabilities.
    """
    found: Floats = network.see(rgb)[0]
    low, high = float(found.min()), float(found.max())
    stretched: Floats = (found - low) / max(high - low, _SPREAD_MIN)
    return stretched

"""Starts one simulated provider, or the webhook receiver, as a process of its own on loopback.

python -m simulators.main --provider fal --port 9101 --seed 7 --profile demo-fal
"""

from __future__ import annotations

import argparse
import sys
from typing import Final

import cv2
import uvicorn
from fastapi import APIRouter
from pydantic import ValidationError
from starlette.types import ASGIApp

from simulators import fal, openai_images, replicate
from simulators.provider_profile import Control, ProfileUnknownError, ProviderProfile, load_profile
from simulators.receiver import build_receiver
from simulators.renderer import Renderer
from simulators.wire import build_app
from simulators.world import World

_DRAIN_S: Final = 2
_RECEIVER: Final = "receiver"


def build(
    profile: ProviderProfile,
    *,
    seed: int,
    time_scale: float = 1.0,
    control: Control | None = None,
    renderer: Renderer | None = None,
) -> ASGIApp:
    """Build the app of a simulated provider; a given renderer is shared instead of prepared anew."""
    world = World(profile, seed=seed, time_scale=time_scale, renderer=renderer)
    if control is not None:
        world.control(control)
    vendor: APIRouter
    match profile.provider:
        case "fal":
            vendor = fal.routes(world)
        case "replicate":
            vendor = replicate.routes(world)
        case "openai":
            vendor = openai_images.routes(world)
    return build_app(world, vendor)


def main(arguments: list[str] | None = None) -> int:
    """Run until interrupted; return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        app = _app(options)
    except (ProfileUnknownError, ValidationError) as problem:
        sys.stderr.write(f"simulators: {problem}\n")
        return 2
    # One picture keeps one core busy; OpenCV's own threads would only take turns with it.
    cv2.setNumThreads(1)
    uvicorn.run(
        app,
        host=options.host,
        port=options.port,
        log_level=options.log_level,
        access_log=False,
        timeout_graceful_shutdown=_DRAIN_S,
        server_header=False,
    )
    return 0


def _app(options: argparse.Namespace) -> ASGIApp:
    if options.provider == _RECEIVER:
        return build_receiver(options.secret)
    profile = load_profile(options.profile or f"demo-{options.provider}")
    if profile.provider != options.provider:
        raise ProfileUnknownError(
            f"profile {options.profile!r} is for {profile.provider}, not {options.provider}"
        )
    control = Control.model_validate_json(options.control) if options.control else None
    return build(profile, seed=options.seed, time_scale=options.time_scale, control=control)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m simulators.main", description=__doc__)
    parser.add_argument("--provider", required=True, choices=["fal", "replicate", "openai", _RECEIVER])
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, required=True, help="port to listen on")
    parser.add_argument(
        "--seed", type=int, default=0, help="same seed, same requests: same pictures and faults"
    )
    parser.add_argument("--profile", help="bundled profile or YAML file; demo-<provider> when left out")
    parser.add_argument("--time-scale", type=float, default=1.0, help="factor on every latency")
    parser.add_argument("--control", help="JSON of a first control call, e.g. '{\"outage\": true}'")
    parser.add_argument(
        "--secret", action="append", help="receiver: a whsec_ secret to verify with; repeatable"
    )
    parser.add_argument("--log-level", default="warning", choices=["debug", "info", "warning", "error"])
    return parser


if __name__ == "__main__":
    sys.exit(main())

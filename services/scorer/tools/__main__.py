"""``python -m services.scorer.tools``: reads the arguments, prints one JSON line per result."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from services.scorer.clients.profiles import BUILT_IN, ProfileInvalid, load_profiles, read_profile
from services.scorer.clients.rules import CelRules
from services.scorer.domain.calibration import TooFewAccepted
from services.scorer.domain.references import Wording, is_colour
from services.scorer.tools.calibrate import calibrate_profile
from services.scorer.tools.desk import Desk, find_profile, read_reference
from services.scorer.tools.picture_report import report
from services.scorer.vision.decode import NotDecodable
from winnow.contracts.errors import Refused


def main(argv: list[str] | None = None) -> int:
    """Do one job; 0 even when a picture or profile is found wrong, 2 when the job itself cannot be done."""
    arguments = _parser().parse_args(argv)
    try:
        for line in arguments.job(arguments):
            _write(line)
    except NotDecodable as error:
        _write({"error": f"the reference is no picture that can be read ({error.reason})"})
        return 2
    except (Refused, ProfileInvalid, TooFewAccepted, OSError) as error:
        _write({"error": str(error)})
        return 2
    return 0


def score(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Measure and judge every picture."""
    desk = Desk()
    profile = find_profile(arguments.profile, arguments.profiles_dir)
    wording = Wording(arguments.copy.replace("\\n", "\n"), tuple(arguments.brand_colour))
    reference = read_reference(arguments.reference)
    for path in arguments.images:
        yield report(desk, profile, path, shapes=arguments.shapes, reference=reference, wording=wording)


def check(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Read every profile file and say what is wrong with it."""
    for path in arguments.files:
        line: dict[str, Any] = {"file": str(path), "valid": True}
        try:
            profile = read_profile(path, CelRules())
        except ProfileInvalid as error:
            yield line | {"valid": False, "problem": str(error)}
        else:
            rules = len(profile.rules)
            counts = {"dimensions": len(profile.dimensions), "rules": rules}
            yield line | {"name": profile.name, "version": profile.version, "sha256": profile.sha256} | counts


def listed(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Name every profile version there is."""
    for profile in load_profiles(arguments.profiles_dir, CelRules()).all():
        yield {"name": profile.name, "version": profile.version, "sha256": profile.sha256}


def calibrated(arguments: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Fit the limits of a profile and write its next version."""
    yield calibrate_profile(
        arguments.profiles_dir,
        arguments.profile,
        arguments.accepted,
        arguments.rejected,
        share=arguments.share,
        out=arguments.out,
        reference=read_reference(arguments.reference),
    )


def _colour(text: str) -> str:
    if not is_colour(text):
        raise argparse.ArgumentTypeError("colours are written like #1b4d3e")
    return text


def _write(line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(line, allow_nan=False) + "\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m services.scorer.tools", description=__doc__)
    jobs = parser.add_subparsers(required=True)
    scoring = jobs.add_parser("score", help=score.__doc__)
    scoring.add_argument("images", nargs="+", type=Path)
    scoring.add_argument("--profile", required=True, help="a name, name@version or a YAML file")
    scoring.add_argument("--copy", default="", help="words that the picture must show; \\n begins a line")
    scoring.add_argument("--brand-colour", action="append", default=[], type=_colour, help="like #1b4d3e")
    scoring.add_argument("--shapes", action="store_true", help="add what was found where, for drawing")
    scoring.set_defaults(job=score)
    checking = jobs.add_parser("check", help=check.__doc__)
    checking.add_argument("files", nargs="+", type=Path)
    checking.set_defaults(job=check)
    listing = jobs.add_parser("profiles", help=listed.__doc__)
    listing.set_defaults(job=listed)
    fitting = jobs.add_parser("calibrate", help=calibrated.__doc__)
    fitting.add_argument("accepted", type=Path)
    fitting.add_argument("rejected", type=Path)
    fitting.add_argument("--profile", required=True)
    fitting.add_argument("--share", type=float, default=0.02)
    fitting.add_argument("--out", type=Path)
    fitting.set_defaults(job=calibrated)
    for each in (scoring, fitting):
        each.add_argument("--reference", type=Path, help="a picture of the same person or thing")
    for each in (scoring, listing, fitting):
        each.add_argument("--profiles-dir", type=Path, default=BUILT_IN)
    return parser


if __name__ == "__main__":
    sys.exit(main())

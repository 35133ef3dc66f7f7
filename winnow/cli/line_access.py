"""Address of the line: from the environment, or from the file that `winnow up` leaves in the data directory."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, Self

from winnow.cli.errors import CliError

ACCESS_FILE: Final = "line.json"
"""The file in the data directory that `winnow up` writes when the line answers."""


@dataclass(frozen=True, slots=True)
class LineAccess:
    """The addresses of a running line and the secrets of its first user."""

    api_url: str = ""
    kafka_bootstrap: str = ""
    ledger_grpc: str = ""
    receiver_url: str = ""
    simulator_urls: tuple[str, ...] = ()
    mongo_uri: str = ""
    s3_endpoint: str = ""
    api_key: str = field(default="", repr=False)
    admin_token: str = field(default="", repr=False)
    s3_access_key: str = field(default="", repr=False)
    s3_secret_key: str = field(default="", repr=False)

    @classmethod
    def read(cls, data_dir: Path) -> Self:
        """Read what `winnow up` left; an empty record when there is nothing."""
        try:
            document = json.loads((data_dir / ACCESS_FILE).read_text())
        except FileNotFoundError:
            return cls()
        except ValueError as error:
            raise CliError(
                f"{data_dir / ACCESS_FILE} is not readable; remove it and run `winnow up` again."
            ) from error
        known = {name: document[name] for name in cls.__slots__ if name in document}
        return cls(**known | {"simulator_urls": tuple(known.get("simulator_urls", ()))})

    def write(self, data_dir: Path) -> None:
        """Write the record, readable for its owner only."""
        path = data_dir / ACCESS_FILE
        partial = path.with_suffix(".partial")
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump(asdict(self), file, indent=2)
        partial.replace(path)


def address(passed: str, stored: str, noun: str, variable: str, data_dir: Path) -> str:
    """Return the address that was passed, else the stored value; raises CliError when there is neither."""
    if passed or stored:
        return passed or stored
    raise CliError(
        f"No address of {noun}: run `winnow up`, name its --data-dir (now {data_dir}), or set {variable}."
    )


def secret(passed: str, stored: str, noun: str, variable: str) -> str:
    """Return the secret that was passed, else the stored value; raises CliError when there is neither."""
    if passed or stored:
        return passed or stored
    raise CliError(f"No {noun}: set {variable}, or run `winnow up`, which makes one for the demo account.")

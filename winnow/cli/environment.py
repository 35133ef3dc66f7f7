"""Settings of services from the environment of `winnow up`: they win where the embedded line allows it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from winnow.cli.errors import CliError, as_sentence

_WEB_PORTS: Final = {"http": (80,), "https": (443,), "": (80, 443)}
_HOSTS: Final = "WINNOW_DELIVERY_WEBHOOK_ALLOWED_HOSTS"
_SERVERS: Final = "the embedded line starts its own servers and knows their addresses alone"
_PORTS: Final = "the embedded line chooses its ports and stores them with the data"
_SECRETS: Final = "this secret lies with the data and another would void all that was made with it"
_FIXED: Final[Mapping[str, str]] = {
    "KAFKA_BOOTSTRAP": _SERVERS,
    "MONGO_URI": _SERVERS,
    "S3_ENDPOINT": _SERVERS,
    "S3_ACCESS_KEY": _SERVERS,
    "S3_SECRET_KEY": _SERVERS,
    "IDEMPOTENT_PRODUCER": "the embedded bus decides it",
    "SHARDS": "it is fixed when the embedded line's topics are made",
    "OPS_PORT": _PORTS,
    "GRPC_PORT": _PORTS,
    "HTTP_PORT": "the port of the API is the option --api-port",
    "LEDGER_ADDRESS": _PORTS,
    "ROUTER_ADDRESS": _PORTS,
    "SCORER_ADDRESS": _PORTS,
    "DELIVERY_ADDRESS": _PORTS,
    "KEY_PEPPER": _SECRETS,
    "SECRET_KEY": _SECRETS,
    "ADMIN_TOKEN": "the embedded line makes its administrator's token and stores it with the data",
}
"""Settings that the embedded line needs as it makes them, each with the reason."""


@dataclass(frozen=True, slots=True)
class Overrides:
    """Settings by service, each name without its prefix, and a sentence for each that cannot be overridden."""

    settings: Mapping[str, Mapping[str, str]]
    notes: Sequence[str]


def overrides(
    environment: Mapping[str, str], line: Mapping[str, Mapping[str, str]], webhook_hosts: Sequence[str] = ()
) -> Overrides:
    """Return which settings of the line give way to the environment.

    ``line`` are the variables that the embedded line sets, by service. A variable that it does not set reaches
    the services as it is. Hosts of webhooks are added to the line's own receiver. Raises CliError for a list of
    hosts that is no JSON list.
    """
    settings: dict[str, dict[str, str]] = {}
    notes: list[str] = []
    for service, variables in line.items():
        prefix = f"WINNOW_{service.upper()}_"
        for variable, value in variables.items():
            name = variable.removeprefix(prefix)
            chosen = environment.get(variable, value)
            if variable == _HOSTS:
                wanted = [*_list_of(value), *(_list_of(chosen) if chosen != value else ()), *webhook_hosts]
                settings.setdefault(service, {})[name] = json.dumps(list(dict.fromkeys(wanted)))
            elif chosen == value:
                continue
            elif name in _FIXED:
                notes.append(as_sentence(f"{variable} is set and not used: {_FIXED[name]}"))
            else:
                settings.setdefault(service, {})[name] = chosen
    return Overrides(settings, notes)


def places_of(webhook_host: str) -> list[str]:
    """Return the ``host:port`` pairs of a host, a host:port or a URL; a bare host means ports 80 and 443.

    Raises CliError for text that names no host.
    """
    text = webhook_host if "//" in webhook_host else f"//{webhook_host}"
    try:
        parts = urlsplit(text)
        host, port, scheme = parts.hostname, parts.port, parts.scheme
    except ValueError:
        host, port, scheme = None, None, ""
    if not host or port == 0 or scheme not in _WEB_PORTS or any(sign.isspace() for sign in webhook_host):
        raise CliError(f"{webhook_host!r} is no host for webhooks.", hint="Write it like 127.0.0.1:9000.")
    name = f"[{host}]" if ":" in host else host
    if port is not None:
        return [f"{name}:{port}"]
    return [f"{name}:{number}" for number in _WEB_PORTS[scheme]]


def _list_of(text: str) -> list[str]:
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    if not isinstance(found, list) or not all(isinstance(place, str) for place in found):
        raise CliError(
            f"{_HOSTS} is no JSON list of host:port pairs.", hint='Write it like ["127.0.0.1:9000"].'
        )
    return found

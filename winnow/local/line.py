"""The line as processes: provider simulators, webhook receiver and the five services, wired to the embedded stack."""

from __future__ import annotations

import json
import os
import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from winnow.local import ports as port_choice
from winnow.local.ports import HOST, PortTaken
from winnow.local.stack import EmbeddedStack
from winnow.local.supervisor import ProcessSpec

PROVIDERS: Final = ("fal", "replicate", "openai")
SERVICES: Final = ("ledger", "scorer", "router", "delivery", "ingest")
"""In the order of starting; they stop in reverse, the public door first."""
SHARDS: Final = 4
API_PORT: Final = 8080
"""The public API's port unless another is asked for or this one is taken."""
_GRPC: Final = ("ledger", "router", "scorer", "delivery")
_PATHS: Final = {"fal": "", "replicate": "", "openai": "/v1"}
"""Path after the address of a simulator in the router's base URL."""
_NEEDED: Final = ("ledger", "ingest")
"""Without them no account can be opened, so that the line has not started."""


@dataclass(frozen=True, slots=True)
class LineOptions:
    """Options of the line.

    ``api_port`` 0 takes the kept port, else 8080, else a free one. ``profiles`` names the simulators' profiles by
    provider, ``settings`` adds environment variables by service, each name without its prefix.
    """

    api_port: int = 0
    seed: int = 7
    time_scale: float = 1.0
    profiles: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


class Line:
    """The processes of one line on a running stack; ports and secrets are kept with the data."""

    def __init__(self, stack: EmbeddedStack, options: LineOptions | None = None) -> None:
        """Choose ports and secrets; raises PortTaken when the wanted API port is in use."""
        self._stack = stack
        self._options = options or LineOptions()
        self._ports = self._choose_ports()
        kept = stack.state()
        names = ("admin_token", "key_pepper", "delivery_secret")
        self._secrets = {name: str(kept.get(name) or secrets.token_hex(32)) for name in names}
        stack.keep(**self._secrets, ports=kept.get("ports", {}) | self._ports)

    @property
    def api_url(self) -> str:
        """Return the URL of the public API."""
        return f"http://{HOST}:{self._ports['api']}"

    @property
    def admin_token(self) -> str:
        """The bootstrap administrator's token; never printed."""
        return self._secrets["admin_token"]

    @property
    def receiver_url(self) -> str:
        """Return the URL of the webhook receiver."""
        return self.simulator_url("receiver")

    @property
    def simulated(self) -> tuple[str, ...]:
        """The providers that are simulated: all, or none once the environment holds a real provider's key."""
        return () if any(_has_real_key(provider) for provider in PROVIDERS) else PROVIDERS

    def simulator_url(self, name: str) -> str:
        """Return the URL of a simulated provider, or of the receiver."""
        return f"http://{HOST}:{self._ports[f'simulator-{name}']}"

    def grpc_address(self, service: str) -> str:
        """Return the gRPC address of a service."""
        return f"{HOST}:{self._ports[f'{service}-grpc']}"

    def ops_url(self, service: str) -> str:
        """Return the URL of a service's probes and metrics."""
        return f"http://{HOST}:{self._ports[f'{service}-ops']}"

    def layers(self) -> list[list[ProcessSpec]]:
        """Describe the processes; none needs another to start, so all of them start at once."""
        simulators = [self._simulator(name) for name in (*self.simulated, "receiver")]
        return [[*simulators, *(self.service(service) for service in SERVICES)]]

    def service(self, name: str) -> ProcessSpec:
        """Describe one service."""
        prefix = f"WINNOW_{name.upper()}_"
        settings = self._common(name) | self._own(name) | dict(self._options.settings.get(name, {}))
        return ProcessSpec(
            name=name,
            argv=[sys.executable, "-m", f"services.{name}.main"],
            ready_url=f"{self.ops_url(name)}/readyz",
            env={f"{prefix}{field_name}": value for field_name, value in settings.items()},
            is_needed=name in _NEEDED,
        )

    def _simulator(self, name: str) -> ProcessSpec:
        argv = [sys.executable, "-m", "simulators.main", "--provider", name]
        argv += ["--port", str(self._ports[f"simulator-{name}"])]
        if name in PROVIDERS:
            argv += ["--seed", str(self._options.seed), "--time-scale", str(self._options.time_scale)]
        if name in self._options.profiles:
            argv += ["--profile", self._options.profiles[name]]
        return ProcessSpec(
            name=f"simulator-{name}",
            argv=argv,
            ready_url=f"{self.simulator_url(name)}/readyz",
            kind="simulator",
            is_needed=False,
        )

    def _common(self, name: str) -> dict[str, str]:
        stack = self._stack.addresses
        settings = {
            "KAFKA_BOOTSTRAP": stack.kafka_bootstrap,
            "SHARDS": str(SHARDS),
            "MONGO_URI": stack.mongo_uri,
            "S3_ENDPOINT": stack.s3_endpoint,
            "S3_ACCESS_KEY": stack.s3_access_key,
            "S3_SECRET_KEY": stack.s3_secret_key,
            "OPS_PORT": str(self._ports[f"{name}-ops"]),
        }
        return (
            settings
            | dict(stack.bus_settings)
            | ({"GRPC_PORT": str(self._ports[f"{name}-grpc"])} if name in _GRPC else {})
        )

    def _own(self, name: str) -> dict[str, str]:
        match name:
            case "ingest":
                addresses = {f"{service.upper()}_ADDRESS": self.grpc_address(service) for service in _GRPC}
                return addresses | {
                    "HTTP_PORT": str(self._ports["api"]),
                    "KEY_PEPPER": self._secrets["key_pepper"],
                    "ADMIN_TOKEN": self._secrets["admin_token"],
                }
            case "delivery":
                receiver = f"{HOST}:{self._ports['simulator-receiver']}"
                return {
                    "SECRET_KEY": self._secrets["delivery_secret"],
                    "WEBHOOK_ALLOWED_HOSTS": json.dumps([receiver]),
                }
            case "router":
                return self._providers()
            case _:
                return {}

    def _providers(self) -> dict[str, str]:
        """Point the router at the simulators and their offerings, unless a provider's key is in the environment."""
        if not self.simulated:
            return {}
        settings = {"CATALOGUE": "simulated"}
        for provider in PROVIDERS:
            settings[f"{provider.upper()}_BASE_URL"] = f"{self.simulator_url(provider)}{_PATHS[provider]}"
            settings[f"{provider.upper()}_KEY"] = "simulated"
        return settings

    def _choose_ports(self) -> dict[str, int]:
        kept: dict[str, int] = self._stack.state().get("ports", {})
        wanted = self._options.api_port
        if wanted and not port_choice.is_free(wanted):
            raise PortTaken("the API", wanted)
        names = ["api", *(f"simulator-{name}" for name in (*PROVIDERS, "receiver"))]
        names += [f"{service}-ops" for service in SERVICES] + [f"{service}-grpc" for service in _GRPC]
        return port_choice.choose(names, {"api": API_PORT} | kept | ({"api": wanted} if wanted else {}))


def _has_real_key(provider: str) -> bool:
    return bool(os.environ.get(f"WINNOW_ROUTER_{provider.upper()}_KEY"))


def names_of(layers: Sequence[Sequence[ProcessSpec]]) -> list[str]:
    """Return the names of the processes in the order of starting."""
    return [spec.name for layer in layers for spec in layer]

"""Free ports on loopback, chosen once and kept with the data."""

from __future__ import annotations

import socket

HOST = "127.0.0.1"


class PortTaken(Exception):  # noqa: N818 (the noun of the problem)
    """A port that was asked for is in use."""

    def __init__(self, name: str, port: int) -> None:
        """Say which."""
        super().__init__(
            f"port {port} for {name} is already taken; choose another or stop what listens there"
        )


def is_free(port: int) -> bool:
    """Tell whether nothing listens on a port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def choose(names: list[str], kept: dict[str, int]) -> dict[str, int]:
    """Give a port for each name: the kept one while it is free, else a new one. All are different."""
    chosen: dict[str, int] = {}
    held: list[socket.socket] = []
    try:
        for name in names:
            port = kept.get(name, 0)
            if not port or not is_free(port) or port in chosen.values():
                probe = socket.socket()
                held.append(probe)
                probe.bind((HOST, 0))
                port = probe.getsockname()[1]
            chosen[name] = port
    finally:
        for probe in held:
            probe.close()
    return chosen


def answers(port: int) -> bool:
    """Tell whether something accepts connections on a port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((HOST, port)) == 0

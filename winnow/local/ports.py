"""Free ports on loopback, chosen once and kept with the data."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

HOST: Final = "127.0.0.1"
_LOWEST: Final = 15_000
_OUTGOING: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LISTENING: Final = "0A"


class PortTaken(Exception):  # noqa: N818 (the noun of the problem)
    """A port that was asked for is in use."""

    def __init__(self, name: str, port: int) -> None:
        """Name the missing item."""
        super().__init__(
            f"port {port} for {name} is already taken; choose another or stop what listens there"
        )


def is_free(port: int) -> bool:
    """Return whether nothing listens on a port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def choose(
    names: Sequence[str], kept: Mapping[str, int], wanted: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Return a port for each name: the wanted one, else the kept one while it is free, else a new one.

    All are different. Raises PortTaken when a wanted port is in use.
    """
    chosen: dict[str, int] = {}
    for name, port in (wanted or {}).items():
        if not is_free(port) or port in chosen.values():
            raise PortTaken(name, port)
        chosen[name] = port
    for name in names:
        port = kept.get(name, 0)
        if name not in chosen and port and port not in chosen.values() and is_free(port):
            chosen[name] = port
    fresh = _fresh()
    for name in names:
        if name not in chosen:
            chosen[name] = next(free for free in fresh if free not in chosen.values() and is_free(free))
    return {name: chosen[name] for name in names}


def _fresh() -> Iterator[int]:
    """Walk from a random start through the ports that the kernel gives to no outgoing connection.

    A port of the outgoing range could be taken by any connection between the choice and the server's start.
    """
    try:
        highest = int(_OUTGOING.read_text().split()[0])
    except (OSError, ValueError):
        highest = 32_768
    if highest < _LOWEST + 1_000:
        highest = 65_536
    count = highest - _LOWEST
    start = secrets.randbelow(count)
    return (_LOWEST + (start + step) % count for step in range(count))


def listens(pid: int, port: int) -> bool:
    """Return whether this very process listens on a port, which a stranger on the same port does not satisfy."""
    sockets = {
        fields[9]
        for table in ("tcp", "tcp6")
        for fields in _table(table)
        if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port
    }
    if not sockets:
        return False
    held: set[str] = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir() if Path(f"/proc/{pid}/fd").exists() else ():
        try:
            held.add(str(descriptor.readlink()))
        except OSError:  # closed meanwhile
            continue
    return any(f"socket:[{inode}]" in held for inode in sockets)


def _table(name: str) -> list[list[str]]:
    try:
        return [line.split() for line in Path(f"/proc/net/{name}").read_text().splitlines()[1:]]
    except OSError:
        return []

"""Ports: kept while they are free, never one twice."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from winnow.local.ports import HOST, PortTaken, choose, is_free, listens


def test_kept_ports_are_used_again_while_they_are_free() -> None:
    first = choose(["a", "b"], {})
    assert choose(["a", "b"], first) == first
    assert first["a"] != first["b"]


def test_a_kept_port_that_is_taken_is_replaced() -> None:
    with socket.socket() as taken:
        taken.bind((HOST, 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not is_free(port)
        assert choose(["a"], {"a": port})["a"] != port


def test_two_names_never_share_a_kept_port() -> None:
    port = choose(["a"], {})["a"]
    chosen = choose(["a", "b"], {"a": port, "b": port})
    assert chosen["a"] == port
    assert chosen["b"] != port


def test_a_wanted_port_is_taken_or_the_clash_is_said() -> None:
    port = choose(["bus"], {})["bus"]
    assert choose(["bus", "store"], {"bus": 1, "store": port}, {"bus": port})["bus"] == port
    with socket.socket() as taken:
        taken.bind((HOST, port))
        taken.listen()
        with pytest.raises(PortTaken, match=f"port {port} for bus is already taken"):
            choose(["bus"], {}, {"bus": port})


def test_new_ports_are_outside_the_range_of_outgoing_connections() -> None:
    lowest, highest = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    chosen = choose([str(index) for index in range(30)], {}).values()
    assert len(set(chosen)) == 30
    if lowest >= 16_000:
        assert not [port for port in chosen if lowest <= port <= highest]


def test_a_listener_is_told_from_a_stranger_on_the_same_port() -> None:
    with socket.socket() as server:
        server.bind((HOST, 0))
        port = server.getsockname()[1]
        assert not listens(os.getpid(), port)
        server.listen()
        assert listens(os.getpid(), port)
        assert not listens(os.getppid(), port)

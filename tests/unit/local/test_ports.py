"""Ports: kept while they are free, never one twice."""

from __future__ import annotations

import socket

from winnow.local.ports import HOST, answers, choose, is_free


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
        assert answers(port)
        assert choose(["a"], {"a": port})["a"] != port


def test_two_names_never_share_a_kept_port() -> None:
    port = choose(["a"], {})["a"]
    chosen = choose(["a", "b"], {"a": port, "b": port})
    assert chosen["a"] == port
    assert chosen["b"] != port

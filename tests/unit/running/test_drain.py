from __future__ import annotations

import socket

import pytest

from app.running.drain import refuse_connections


def test_who_has_connected_is_served_and_nobody_else_gets_in() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        early = socket.create_connection(listener.getsockname(), timeout=5)
        early.sendall(b"here already")
        refuse_connections(listener.fileno())
        with pytest.raises(TimeoutError):
            socket.create_connection(listener.getsockname(), timeout=0.3)
        accepted, _ = listener.accept()
        with early, accepted:
            assert accepted.recv(100) == b"here already"
            accepted.sendall(b"answered")
            assert early.recv(100) == b"answered"


def test_a_handshake_that_is_under_way_is_finished() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # The system takes no notice of the client's last segment until the first bytes come.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_DEFER_ACCEPT, 5)
        with socket.create_connection(listener.getsockname(), timeout=5) as early:
            refuse_connections(listener.fileno())
            early.sendall(b"on its way")
            listener.settimeout(5)
            accepted, _ = listener.accept()
            with accepted:
                accepted.settimeout(5)
                assert accepted.recv(100) == b"on its way"
                early.sendall(b"and more")
                assert accepted.recv(100) == b"and more"

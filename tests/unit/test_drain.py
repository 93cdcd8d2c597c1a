from __future__ import annotations

import socket

import pytest

from app.drain import refuse_connections


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

"""Exit with 0 if the service in this container is alive.

Run by the container engine every half minute for as long as the container lives, so it imports
next to nothing: on a small board, starting an HTTP library would cost more than the answer.
"""

import os
import socket
import sys

TIMEOUT_S = 4.0
ANYWHERE = {"0.0.0.0", "::", ""}


def main() -> None:
    """Ask /health/live; end with a line that says why if it does not say 200."""
    host = os.environ.get("SENTRYFUSE_HOST", "")
    port = int(os.environ.get("SENTRYFUSE_PORT", "8080"))
    address = ("127.0.0.1" if host in ANYWHERE else host, port)
    try:
        with socket.create_connection(address, timeout=TIMEOUT_S) as connection:
            connection.sendall(
                b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
            )
            status = connection.recv(64).split(b" ", 2)[1:2]
    except OSError as error:
        sys.exit(f"no answer from {address[0]}:{port}: {error}")
    if status != [b"200"]:
        sys.exit(f"/health/live says {b''.join(status).decode() or 'nothing'}")


main()

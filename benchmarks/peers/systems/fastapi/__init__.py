"""Plain FastAPI, in our own environment: it has all that is needed."""

from __future__ import annotations

from benchmarks.peers.bodies import listed_answer, nested, post_json
from benchmarks.peers.peer import Peer, Place, Windows, server_file


def _command(place: Place) -> list[str]:
    workers, folder = str(place.cores), str(server_file(__file__).parent)
    where = ["--host", "127.0.0.1", "--port", str(place.port), "--app-dir", folder]
    run = [str(place.python), "-m", "uvicorn", "server:app", "--workers", workers]
    return [*run, *where, "--no-access-log", "--log-level", "warning"]


def _message(windows: Windows) -> bytes:
    return post_json("/predict", {"inputs": nested(windows)})


PEER = Peer(
    name="fastapi",
    title="FastAPI",
    body="JSON",
    configuration="a pydantic model, a plain `def` endpoint (run in threads), a uvicorn worker for "
    "each core, no access log; it has no batching",
    advice="https://fastapi.tiangolo.com/deployment/server-workers/",
    command=_command,
    message=_message,
    answer=listed_answer,
)

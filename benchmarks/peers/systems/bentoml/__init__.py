"""BentoML: how to install, start and ask it."""

from __future__ import annotations

from benchmarks.peers.bodies import listed_answer, post_json, rounded, stacked
from benchmarks.peers.peer import Peer, Place, Windows, requirements_file, server_file


def _command(place: Place) -> list[str]:
    folder = str(server_file(__file__).parent)
    return [
        str(place.python),
        *("-m", "bentoml", "serve", "server:Dense", "--working-dir", folder),
        *("--host", "127.0.0.1", "--port", str(place.port), "--do-not-track", "--quiet"),
    ]


def _message(windows: Windows) -> bytes:
    return post_json("/predict", {"windows": rounded(stacked(windows))[None].tolist()})


PEER = Peer(
    name="bentoml",
    title="BentoML",
    body="JSON",
    configuration="a batchable API (one array for all sensors, which it needs), batches of up to "
    "16, a worker for each core, no access log; `max_latency_ms` is left as it comes: at 20 it "
    "refused the first requests of an idle server",
    advice="https://docs.bentoml.com/en/latest/guides/adaptive-batching.html",
    requirements=requirements_file(__file__),
    command=_command,
    environment=lambda place: {"BENTOML_HOME": str(place.folder), "BENTOML_DO_NOT_TRACK": "True"},
    message=_message,
    answer=listed_answer,
)

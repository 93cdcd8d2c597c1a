"""MLServer: how to install, start and ask it."""

from __future__ import annotations

from benchmarks.peers.bodies import v2_answer, v2_json
from benchmarks.peers.peer import Peer, Place, Windows, requirements_file, server_file


def _command(place: Place) -> list[str]:
    return [str(place.python.with_name("mlserver")), "start", str(server_file(__file__).parent)]


def _environment(place: Place) -> dict[str, str]:
    http, grpc, metrics = place.ports[:3]
    return {
        "MLSERVER_HOST": "127.0.0.1",
        "MLSERVER_HTTP_PORT": str(http),
        "MLSERVER_GRPC_PORT": str(grpc),
        "MLSERVER_METRICS_PORT": str(metrics),
        "MLSERVER_PARALLEL_WORKERS": str(place.cores),
        "MLSERVER_ENVIRONMENTS_DIR": str(place.folder / "environments"),
        "MLSERVER_METRICS_DIR": str(place.folder / "metrics"),
        "MLSERVER_GZIP_ENABLED": "false",
        "MLSERVER_DEBUG": "false",
    }


def _message(windows: Windows) -> bytes:
    return v2_json("/v2/models/dense/infer", windows)


PEER = Peer(
    name="mlserver",
    title="MLServer",
    body="JSON",
    configuration="adaptive batching of up to 16 that waits 2 ms, a parallel worker for each core, "
    "compression and debugging off; binary tensors are not offered over REST",
    advice="https://docs.seldon.ai/mlserver/user-guide/adaptive-batching",
    requirements=requirements_file(__file__),
    command=_command,
    environment=_environment,
    message=_message,
    answer=v2_answer,
)

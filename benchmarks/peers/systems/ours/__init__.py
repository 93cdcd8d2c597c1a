"""Our service: pinned to the dense variant, free to choose under a deadline, and frugal."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import orjson
from numpy.typing import NDArray

from benchmarks.peers.bodies import nested, post_json, v2_answer, v2_binary
from benchmarks.peers.peer import Peer, Place, Windows

MODEL = "dsads-maestro"
BUDGET_MS = 16
"""Asked for where 20 ms are wanted: the caller's clock stops later than the service's."""
FLOOR = 0.947
"""Least expected accuracy: the dense variant's by the bundle's table, less one point."""
_MINIMAL = {"Prefer": "return=minimal"}  # as others answer: without plan and receipt
_PATH = f"/v2/models/{MODEL}/infer"
_DENSE = {"SENTRYFUSE_RATIOS": "0", "SENTRYFUSE_WARM_MISSING": "0"}
_ADVICE = "tuning.md"


def _command(place: Place) -> list[str]:
    serve = [str(place.python), "-m", "sentryfuse", "serve"]
    return [*serve, "--port", str(place.port)]


def _environment(place: Place) -> dict[str, str]:
    return {
        "SENTRYFUSE_MODELS": str(place.models),
        "SENTRYFUSE_LOAD_MODELS": MODEL,
        "SENTRYFUSE_PROFILES": str(place.cache / "profiles"),
        "SENTRYFUSE_ACCESS_LOG": "false",
    }


def _dense(place: Place) -> dict[str, str]:
    return _environment(place) | _DENSE


def _binary(windows: Windows, **headers: str) -> bytes:
    return v2_binary(_PATH, windows, "probabilities", **(_MINIMAL | headers))


def _json(windows: Windows) -> bytes:
    return post_json("/v1/infer", {"inputs": nested(windows)}, **_MINIMAL)


def _hurried(windows: Windows) -> bytes:
    return _binary(windows, X_Latency_Budget_Ms=str(BUDGET_MS), X_Accuracy_Floor=str(FLOOR))


def _frugal(windows: Windows) -> bytes:
    return _binary(
        windows, Prefer=f"{_MINIMAL['Prefer']}, energy=least", X_Accuracy_Floor=str(FLOOR)
    )


def _most_probable(headers: Mapping[str, str], body: bytes) -> NDArray[np.float32]:
    """Index and probability of the class named first, as the native answer has them."""
    (prediction,) = orjson.loads(body)["predictions"]
    return np.array([prediction["index"], prediction["probability"]], "f4")


OURS = Peer(
    name="ours",
    title="SentryFuse",
    body="binary",
    configuration="pinned to the dense variant, which alone is in memory, as the others have one "
    "graph (`SENTRYFUSE_RATIOS=0`, `SENTRYFUSE_WARM_MISSING=0`); no deadline, no access log; a "
    "thread for each core; batches of what has queued, up to 16, without delay; answers without "
    "plan and receipt (`Prefer: return=minimal`), as all of ours here",
    advice=_ADVICE,
    command=_command,
    environment=_dense,
    message=_binary,
    answer=v2_answer,
    is_ours=True,
)
OURS_JSON = Peer(
    name="ours-json",
    title="SentryFuse, JSON",
    body="JSON",
    configuration="the same, asked over the native API",
    advice=_ADVICE,
    command=_command,
    environment=_dense,
    message=_json,
    answer=_most_probable,
    is_ours=True,
)
OURS_FREE = Peer(
    name="ours-free",
    title="SentryFuse, free to choose",
    body="binary",
    configuration=f"all variants, `X-Latency-Budget-Ms: {BUDGET_MS}` on each request (4 ms of the "
    f"20 for the way there and back) and `X-Accuracy-Floor: {FLOOR}` (a point below the dense "
    "variant), everything else as it comes; no access log",
    advice=_ADVICE,
    command=_command,
    environment=_environment,
    message=_hurried,
    answer=v2_answer,
    is_ours=True,
    adapts=True,
)
OURS_FRUGAL = Peer(
    name="ours-frugal",
    title="SentryFuse, frugal",
    body="binary",
    configuration=f"all variants, `X-Accuracy-Floor: {FLOOR}` (a point below the dense variant) "
    "and `Prefer: energy=least` on each request: the least energy that the floor allows; "
    "everything else as it comes; no access log",
    advice=_ADVICE,
    command=_command,
    environment=_environment,
    message=_frugal,
    answer=v2_answer,
    is_ours=True,
    adapts=True,
)

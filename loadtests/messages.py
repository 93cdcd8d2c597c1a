"""Whole HTTP requests as bytes, made before anything is timed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import orjson

from app.api.sample import sample_json
from loadtests.client import Shot
from sentryfuse.bench.policies.traces import Arrival
from sentryfuse.bundle import Bundle


def make_volley(
    arrivals: Sequence[Arrival], bundle: Bundle, headers: Mapping[str, str]
) -> tuple[tuple[bytes, ...], tuple[Shot, ...]]:
    """Return the messages that a trace needs, one for each kind of request, and when to send which.

    Args:
        arrivals: Of the trace.
        bundle: The model that is asked, or one like all of them; its simulator makes the windows.
        headers: Budgets and preferences of every request.
    """
    kinds = sorted({_kind(a) for a in arrivals})
    index = {kind: i for i, kind in enumerate(kinds)}
    messages = tuple(
        infer_message(request_body(bundle, bits, windows=windows, seed=bits), headers, model=model)
        for bits, windows, model in kinds
    )
    shots = tuple(Shot(a.at_s, index[_kind(a)]) for a in arrivals)
    return messages, shots


def _kind(arrival: Arrival) -> tuple[int, int, str]:
    return arrival.presence_bits, arrival.windows, arrival.model


def budget_headers(*, latency_s: float | None, strict: bool) -> dict[str, str]:
    """Headers of a request with this latency budget."""
    headers = {} if latency_s is None else {"X-Latency-Budget-Ms": f"{1e3 * latency_s:g}"}
    return headers | ({"Prefer": "handling=strict"} if strict else {})


def infer_message(body: bytes, headers: Mapping[str, str], *, model: str = "") -> bytes:
    """A POST to a model; to the default one unless told otherwise."""
    path = f"/v1/models/{model}/infer" if model else "/v1/infer"
    lines = [
        f"POST {path} HTTP/1.1",
        "Host: load-test",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


def request_body(bundle: Bundle, presence_bits: int, *, windows: int = 1, seed: int = 0) -> bytes:
    """Windows such as ``GET /v1/models/{m}/sample`` draws, for the sensors present.

    Args:
        bundle: Holds the simulator.
        presence_bits: Bit i is modality i.
        windows: In the request; more than one are sent as ``[batch, time, channels]``.
        seed: Of the first window; each further one takes the next.
    """
    names = bundle.spec.modality_names
    missing = ",".join(_absent(names, presence_bits))
    drawn: list[dict[str, Any]] = [
        sample_json(bundle, label=None, missing=missing, seed=seed + i)["inputs"]
        for i in range(windows)
    ]
    if windows == 1:
        return orjson.dumps({"inputs": drawn[0]})
    batched = {n: None if drawn[0][n] is None else [d[n] for d in drawn] for n in names}
    return orjson.dumps({"inputs": batched})


def _absent(names: Iterable[str], presence_bits: int) -> list[str]:
    return [name for i, name in enumerate(names) if not presence_bits >> i & 1]

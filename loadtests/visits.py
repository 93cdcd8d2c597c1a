"""Everything that clients do to a server over time: visits of many kinds, right and wrong.

Each is made beforehand, from a seed, together with the statuses that it may be answered with. So
whether a server failed needs no judgement.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
import orjson

from app.api.sample import sample_json
from sentryfuse.bundle import Bundle
from sentryfuse.presence import Presence, all_presences

_JSON = {"Content-Type": "application/json"}
_REFUSALS = frozenset({422, 429, 504})
"""What a strict budget may be told, and nothing else."""
_OVER_LIMIT_BYTES = 5 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One request and how it may end."""

    kind: str
    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    allowed: frozenset[int] = frozenset({200})
    leaves_after: float | None = None
    """Part of the body after which the client hangs up; 1 is all of it. None stays."""


@dataclass(frozen=True, slots=True)
class Wares:
    """What visits are made of.

    Args:
        bundle: The model that is asked; its simulator makes the windows.
        model: Name under which it is served.
        chance: Decides everything that is left open.
    """

    bundle: Bundle
    model: str
    chance: random.Random

    def presence(self) -> Presence:
        """Any set of sensors; all of them as often as all the others together."""
        size = len(self.bundle.spec.modalities)
        full = Presence.full(size)
        return full if self.chance.random() < 0.5 else self.chance.choice([*all_presences(size)])

    def windows(self, presence: Presence, count: int) -> dict[str, list[object]]:
        """Windows of the sensors that are present, ``[count, time, channels]`` each."""
        names = self.bundle.spec.modality_names
        present = presence.names(names)
        missing = ",".join(name for name in names if name not in present)
        seed = self.chance.randrange(1000)
        drawn = [
            sample_json(self.bundle, label=None, missing=missing, seed=seed + i)["inputs"]
            for i in range(count)
        ]
        return {name: [window[name] for window in drawn] for name in present}


def make_visits(bundle: Bundle, model: str, *, each: int, seed: int) -> dict[str, list[Visit]]:
    """Make so many visits of every kind.

    Args:
        bundle: The model that is asked; it holds a simulator.
        model: Name under which it is served.
        each: Visits of one kind.
        seed: Of everything that is left to chance.
    """
    wares = Wares(bundle, model, random.Random(seed))
    makers: Sequence[Callable[[Wares], Visit]] = (
        _native,
        _budgeted,
        _cascade,
        _v2_json,
        _v2_binary,
        _dry_run,
        _read,
        _malformed,
        _misfit,
        _stranger,
        _leaver,
    )
    made = chain.from_iterable((make(wares) for _ in range(each)) for make in makers)
    by_kind: dict[str, list[Visit]] = {}
    for visit in chain(made, [_too_large(wares)]):
        by_kind.setdefault(visit.kind, []).append(visit)
    return by_kind


WEIGHTS: Mapping[str, float] = {
    "native": 8,
    "budget": 6,
    "cascade": 1,
    "v2 json": 2,
    "v2 binary": 4,
    "dry run": 2,
    "read": 2,
    "malformed": 2,
    "misfit": 1,
    "stranger": 1,
    "too large": 0.05,
    "leaver": 2,
}
"""How often each kind of visit is paid."""


def choices(visits: Mapping[str, Sequence[Visit]], chance: random.Random) -> Iterator[Visit]:
    """Draw visits for ever."""
    kinds = list(visits)
    weights = [WEIGHTS[kind] for kind in kinds]
    while True:
        (kind,) = chance.choices(kinds, weights)
        yield chance.choice(visits[kind])


def _native(wares: Wares) -> Visit:
    return Visit(
        kind="native", method="POST", path="/v1/infer", headers=_JSON, body=_native_body(wares)
    )


def _budgeted(wares: Wares) -> Visit:
    """Budgets of every kind; a lenient one is never refused."""
    chance = wares.chance
    headers = dict(
        chance.sample(
            [
                ("X-Latency-Budget-Ms", f"{chance.uniform(3, 200):.2f}"),
                ("X-Energy-Budget-mJ", f"{chance.uniform(1, 100):.2f}"),
                ("X-Power-Budget-W", f"{chance.uniform(3.5, 15):.2f}"),
                ("X-Accuracy-Floor", f"{chance.uniform(0.5, 0.95):.3f}"),
            ],
            chance.choice([1, 1, 2, 4]),
        )
    )
    strict = chance.random() < 0.5
    return Visit(
        kind="budget",
        method="POST",
        path=f"/v1/models/{wares.model}/infer",
        headers={**_JSON, **headers, "Prefer": f"handling={'strict' if strict else 'lenient'}"},
        body=_native_body(wares),
        allowed=frozenset({200}) | (_REFUSALS if strict else frozenset()),
    )


def _cascade(wares: Wares) -> Visit:
    headers = {**_JSON, "SentryFuse-Cascade": f"{wares.chance.uniform(0.3, 0.99):.2f}"}
    return Visit(
        kind="cascade", method="POST", path="/v1/infer", headers=headers, body=_native_body(wares)
    )


def _v2_json(wares: Wares) -> Visit:
    inputs = [
        {"name": n, "shape": list(a.shape), "datatype": "FP32", "data": a.ravel().tolist()}
        for n, a in _arrays(wares).items()
    ]
    return Visit(
        kind="v2 json",
        method="POST",
        path=f"/v2/models/{wares.model}/infer",
        headers=_JSON,
        body=orjson.dumps({"inputs": inputs}),
    )


def _v2_binary(wares: Wares) -> Visit:
    arrays = _arrays(wares)
    inputs = [
        {
            "name": n,
            "shape": list(a.shape),
            "datatype": "FP32",
            "parameters": {"binary_data_size": a.nbytes},
        }
        for n, a in arrays.items()
    ]
    parameters = {"binary_data_output": wares.chance.random() < 0.5}
    head = orjson.dumps({"inputs": inputs, "parameters": parameters})
    return Visit(
        kind="v2 binary",
        method="POST",
        path=f"/v2/models/{wares.model}/infer",
        headers={
            "Content-Type": "application/octet-stream",
            "Inference-Header-Content-Length": str(len(head)),
        },
        body=b"".join([head, *(a.tobytes() for a in arrays.values())]),
    )


def _dry_run(wares: Wares) -> Visit:
    names = wares.presence().names(wares.bundle.spec.modality_names)
    return Visit(
        kind="dry run",
        method="POST",
        path=f"/v1/models/{wares.model}/plan",
        headers={**_JSON, "X-Latency-Budget-Ms": f"{wares.chance.uniform(1, 50):.2f}"},
        body=orjson.dumps({"presence": names, "batch": wares.chance.choice([1, 4])}),
    )


def _read(wares: Wares) -> Visit:
    one = f"/v1/models/{wares.model}"
    sample = f"{one}/sample?seed={wares.chance.randrange(1000)}"
    paths = ["/v1/models", one, f"{one}/variants", sample, "/v1/power", "/health", "/openapi.json"]
    return Visit(kind="read", method="GET", path=wares.chance.choice(paths))


def _malformed(wares: Wares) -> Visit:
    body = _native_body(wares)
    chance = wares.chance
    bodies = (
        body[: chance.randrange(len(body))],
        b"",
        b"[" * chance.randrange(1, 20_000),
        bytes(chance.randrange(256) for _ in range(300)),
        body.replace(b"0.", b"NaN", 1),
    )
    return Visit(
        kind="malformed",
        method="POST",
        path="/v1/infer",
        headers=_JSON,
        body=chance.choice(bodies),
        allowed=frozenset({400, 422}),
    )


def _misfit(wares: Wares) -> Visit:
    """Good JSON, of windows that do not fit the model."""
    windows = wares.windows(wares.presence(), 1)
    name = wares.chance.choice(list(windows))
    cut: list[object] = windows[name][0][:-1]  # type: ignore[index]
    wrong = wares.chance.choice(["text", cut, [], {"a": 1}, [[1.0], [2.0]]])
    return Visit(
        kind="misfit",
        method="POST",
        path="/v1/infer",
        headers=_JSON,
        body=orjson.dumps({"inputs": {**{n: w[0] for n, w in windows.items()}, name: wrong}}),
        allowed=frozenset({422}),
    )


def _stranger(wares: Wares) -> Visit:
    """Asks for what there is not, or in a way that is not understood."""
    body = _native_body(wares)
    asked: tuple[tuple[str, str, Mapping[str, str], bytes, int], ...] = (
        ("POST", "/v1/models/no-such-model/infer", _JSON, body, 404),
        ("GET", "/no/such/page", {}, b"", 404),
        ("DELETE", "/v1/models", {}, b"", 405),
        ("POST", "/v1/infer", {"Content-Type": "text/plain"}, body, 415),
        ("POST", "/v1/infer", {**_JSON, "X-Latency-Budget-Ms": "soon"}, body, 400),
    )
    method, path, headers, content, status = wares.chance.choice(asked)
    return Visit(
        kind="stranger",
        method=method,
        path=path,
        headers=headers,
        body=content,
        allowed=frozenset({status}),
    )


def _too_large(wares: Wares) -> Visit:
    return Visit(
        kind="too large",
        method="POST",
        path="/v1/infer",
        headers=_JSON,
        body=b" " * _OVER_LIMIT_BYTES,
        allowed=frozenset({413}),
    )


def _leaver(wares: Wares) -> Visit:
    return Visit(
        kind="leaver",
        method="POST",
        path="/v1/infer",
        headers=_JSON,
        body=_native_body(wares),
        allowed=frozenset(),
        leaves_after=wares.chance.choice([0.0, wares.chance.random(), 1.0]),
    )


def _native_body(wares: Wares) -> bytes:
    presence, count = wares.presence(), wares.chance.choice([1, 1, 1, 2, 4])
    windows = wares.windows(presence, count)
    if count == 1:
        return orjson.dumps({"inputs": {name: rows[0] for name, rows in windows.items()}})
    return orjson.dumps({"inputs": windows})


def _arrays(wares: Wares) -> dict[str, np.ndarray]:
    windows = wares.windows(wares.presence(), wares.chance.choice([1, 1, 2]))
    return {name: np.array(rows, np.float32) for name, rows in windows.items()}

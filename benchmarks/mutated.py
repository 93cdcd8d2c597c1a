"""Bodies of the binary tensor extension, and what can go wrong with them: seeded, endless."""

from __future__ import annotations

import copy
import json
import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sentryfuse.spec import ModelSpec

_ODD_NUMBERS: tuple[Any, ...] = (
    0, -1, 1, 2**31, 2**32, 2**53 + 1, 2**62, 2**63, 2**64, -(2**63), 10**30, 1.5, -0.0, 1e308,
)  # fmt: skip
_ODD: tuple[Any, ...] = (
    *_ODD_NUMBERS, math.nan, None, True, False, "", "144", "NaN", "\0", "é" * 70, "\ud800", [], {},
    [[]], [{}], {"a": []},
)  # fmt: skip
_DATATYPES = ("FP16", "FP64", "INT8", "UINT64", "BOOL", "BYTES", "BF16", "fp32", "", "FP32 ")
_ODD_FLOATS = (np.nan, np.inf, -np.inf, 3.4e38, 1e-45)


@dataclass
class Body:
    """A body before it becomes bytes."""

    header: dict[str, Any]
    tail: bytearray
    length: int | None = None
    """What is said of the header's length; None for the truth."""
    damage: list[Callable[[bytes], bytes]] = field(default_factory=list)
    """Done to the text of the header at the end."""

    def to_bytes(self) -> tuple[bytes, int]:
        """Return the body and the length that is claimed of its header."""
        text = json.dumps(self.header).encode()
        for step in self.damage:
            text = step(text)
        return text + self.tail, len(text) if self.length is None else self.length


def good_body(spec: ModelSpec, rng: random.Random) -> Body:
    """Some of the modalities, in binary, in any order."""
    chosen = rng.sample(spec.modalities, rng.randint(1, len(spec.modalities)))
    batch = rng.choice((1, 1, 2, 3))
    numbers = np.random.default_rng(rng.getrandbits(32))
    inputs, tail = [], bytearray()
    for modality in chosen:
        window = numbers.normal(size=(batch, modality.length, modality.channels)).astype("<f4")
        raw = window.tobytes()
        inputs.append(
            {
                "name": modality.name,
                "datatype": "FP32",
                "shape": list(window.shape),
                "parameters": {"binary_data_size": len(raw)},
            }
        )
        tail += raw
    header: dict[str, Any] = {"inputs": inputs, "parameters": {"binary_data_output": True}}
    if rng.random() < 0.5:
        header |= {"id": "x", "outputs": [{"name": rng.choice(("label", "probabilities"))}]}
    return Body(header, tail)


def mutate(body: Body, rng: random.Random) -> None:
    """Damage a body in one of many ways."""
    rng.choice(_MUTATIONS)(body, rng)


def mutated_body(spec: ModelSpec, rng: random.Random) -> tuple[bytes, int]:
    """Return a body with one to three things wrong, and the length claimed of its header."""
    body = good_body(spec, rng)
    for _ in range(rng.choice((1, 1, 2, 3))):
        mutate(body, rng)
    return body.to_bytes()


def _tensor(body: Body, rng: random.Random) -> dict[str, Any]:
    inputs = body.header.get("inputs")
    tensors = [t for t in inputs if isinstance(t, dict)] if isinstance(inputs, list) else []
    return rng.choice(tensors) if tensors else {}


def _header_length(body: Body, rng: random.Random) -> None:
    truth = len(body.to_bytes()[0]) - len(body.tail)
    body.length = rng.choice((0, 1, truth - 1, truth + 1, truth // 2, 10**9, rng.randint(0, 4000)))


def _cut(body: Body, rng: random.Random) -> None:
    del body.tail[rng.randint(0, len(body.tail)) :]


def _grow(body: Body, rng: random.Random) -> None:
    body.tail += rng.randbytes(rng.choice((1, 3, 4, 144, 5000)))


def _flip(body: Body, rng: random.Random) -> None:
    for _ in range(rng.choice((1, 8, 64)) if body.tail else 0):
        body.tail[rng.randrange(len(body.tail))] = rng.randrange(256)


def _odd_float(body: Body, rng: random.Random) -> None:
    if len(body.tail) >= 4:
        start = 4 * rng.randrange(len(body.tail) // 4)
        body.tail[start : start + 4] = np.float32(rng.choice(_ODD_FLOATS)).tobytes()


def _size(body: Body, rng: random.Random) -> None:
    near = rng.randint(0, 600)
    _tensor(body, rng)["parameters"] = {"binary_data_size": _odd(rng, near)}


def _shape(body: Body, rng: random.Random) -> None:
    tensor = _tensor(body, rng)
    shape = tensor.get("shape")
    if not isinstance(shape, list) or not shape or rng.random() < 0.3:
        tensor["shape"] = _odd(rng)
    elif rng.random() < 0.5:
        shape[rng.randrange(len(shape))] = _odd(rng)
    else:
        tensor["shape"] = shape * rng.choice((0, 2, 40))


def _datatype(body: Body, rng: random.Random) -> None:
    _tensor(body, rng)["datatype"] = _odd(rng, *_DATATYPES)


def _name(body: Body, rng: random.Random) -> None:
    _tensor(body, rng)["name"] = _odd(rng, "sensor_0", "sensor_1")


def _twice(body: Body, rng: random.Random) -> None:
    inputs = body.header.get("inputs")
    if isinstance(inputs, list):
        inputs.append(_tensor(body, rng))


def _drop(body: Body, rng: random.Random) -> None:
    holder = rng.choice((body.header, _tensor(body, rng)))
    if holder:
        del holder[rng.choice(sorted(holder))]


def _json_data(body: Body, rng: random.Random) -> None:
    tensor = _tensor(body, rng)
    if rng.random() < 0.7:
        tensor.pop("parameters", None)
    tensor["data"] = _odd(rng, [0.0] * 36, [[0.0] * 3] * 12, [None], _deep(rng))


def _field(body: Body, rng: random.Random) -> None:
    name = rng.choice(("inputs", "outputs", "id", "parameters", "extra"))
    body.header[name] = _odd(rng, _deep(rng))


def _parameter(body: Body, rng: random.Random) -> None:
    name = rng.choice(
        ("timeout", "latency_budget_ms", "handling", "cascade", "binary_data_output", "x" * 300)
    )
    body.header["parameters"] = {name: _odd(rng)}


def _output(body: Body, rng: random.Random) -> None:
    name = _odd(rng, "label", "probabilities", "logits")
    parameters = {rng.choice(("binary_data", "classification", "a")): _odd(rng)}
    body.header["outputs"] = [{"name": name, "parameters": parameters}] * rng.choice((1, 1, 2))


def _text(body: Body, rng: random.Random) -> None:
    at, junk = rng.random(), rng.randbytes(rng.choice((0, 1, 2, 16)))
    width = rng.choice((0, 1, 5, 50))

    def damage(text: bytes) -> bytes:
        start = int(at * len(text))
        return text[:start] + junk + text[start + width :]

    body.damage.append(damage)


def _odd(rng: random.Random, *others: Any) -> Any:
    """Return something odd of its own, so that the next mutation changes nothing but this body."""
    return copy.deepcopy(rng.choice((*_ODD, *others)))


def _deep(rng: random.Random) -> Any:
    deep: Any = 1.0
    for _ in range(rng.choice((3, 5, 50, 120))):
        deep = [deep] if rng.random() < 0.9 else {"a": deep}
    return deep


_MUTATIONS = (
    _header_length, _cut, _grow, _flip, _odd_float, _size, _shape, _datatype, _name, _twice, _drop,
    _json_data, _field, _parameter, _output, _text,
)  # fmt: skip

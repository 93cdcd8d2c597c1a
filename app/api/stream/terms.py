"""What a stream asks for when it is opened: query parameters and budget headers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from app.errors import MalformedError, WrongFieldError
from app.protocol.budgets import BudgetRequest, parse_budget, with_parameters
from app.protocol.diagnosis import shorten
from sentryfuse.spec import ModelSpec

_HOP_S = (0.01, 3600.0)
_SILENCE_S = (0.01, 60.0)
_USUAL_SILENCE_S = 2.0
_LONGEST_ID = 128
_MOST_PARAMETERS = 64
_BUDGETS = (
    *("latency_budget_ms", "energy_budget_mj", "power_budget_w", "accuracy_floor"),
    *("handling", "energy", "cascade"),
)
_OF_THE_HANDSHAKE = (
    b"grpc-timeout",
    b"x-envoy-expected-rq-timeout-ms",
    b"x-request-timeout-seconds",
)
"""A proxy's limit on the request that opens a stream is none on its windows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Which model a stream asks. Not the model itself: that one may be replaced meanwhile."""

    name: str
    version: str | None
    """None for whichever is served by default."""
    served: str
    """The version that it was when the stream was opened."""
    spec: ModelSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamTerms:
    """How a stream is cut into windows, and what each of them may spend."""

    hop_s: float
    silence_s: Mapping[str, float]
    """How far each sensor may fall behind before it is left out."""
    wanted: BudgetRequest
    id: str | None = None
    """The caller's own name for the stream."""


def read_terms(
    query: bytes, headers: Iterable[tuple[bytes, bytes]], spec: ModelSpec
) -> StreamTerms:
    """Read the terms of a stream.

    Args:
        query: The query string: ``hop_s``, ``silence_s``, ``silence_s.SENSOR``, ``id`` and the
            budgets, named as in the parameters of the Open Inference Protocol.
        headers: Raw headers; their budgets count too.
        spec: The model.

    Raises:
        MalformedError: The query does not parse.
        HeaderError: A budget header does not parse.
        WrongFieldError: A parameter is unknown, there twice, or has no usable value; or the model
            can't be streamed to.
    """
    sensors = [m for m in spec.modalities if m.rate_hz > 0]
    if not sensors:
        raise WrongFieldError("this model has no sensor with a rate to stream", field="model")
    given = _parameters(query)
    usual_s = _seconds(given.pop("silence_s", None), "silence_s", _SILENCE_S)
    silence_s = {}
    for sensor in sensors:
        field = f"silence_s.{sensor.name}"
        default_s = usual_s or min(max(_USUAL_SILENCE_S, 2 / sensor.rate_hz), _SILENCE_S[1])
        silence_s[sensor.name] = _seconds(given.pop(field, None), field, _SILENCE_S) or default_s
    longest_s = max(m.length / m.rate_hz for m in sensors)
    hop_s = _seconds(given.pop("hop_s", None), "hop_s", _HOP_S) or min(longest_s, _HOP_S[1])
    stream_id = given.pop("id", None)
    if stream_id is not None and len(stream_id) > _LONGEST_ID:
        raise WrongFieldError(f"id may have {_LONGEST_ID} characters at most", field="id")
    budgets = {name: given.pop(name) for name in _BUDGETS if name in given}
    if given:
        unknown = min(given)
        known = ("hop_s", "silence_s", "silence_s.SENSOR", "id", *_BUDGETS)
        raise WrongFieldError(
            f"no parameter {shorten(unknown)}; there is {', '.join(known)}", field="query"
        )
    wanted = parse_budget([h for h in headers if h[0] not in _OF_THE_HANDSHAKE])
    return StreamTerms(
        hop_s=hop_s,
        silence_s=silence_s,
        wanted=with_parameters(wanted, budgets),
        id=stream_id,
    )


def _parameters(query: bytes) -> dict[str, str]:
    try:
        pairs = parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(query),
            errors="strict",
            max_num_fields=_MOST_PARAMETERS,
        )
    except ValueError as error:
        raise MalformedError(f"the query does not parse: {error}") from None
    given = dict(pairs)
    if len(given) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise WrongFieldError(f"{shorten(twice)} was given more than once", field="query")
    return given


def _seconds(text: str | None, field: str, allowed: tuple[float, float]) -> float | None:
    if text is None:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    least, most = allowed
    if not least <= seconds <= most:
        raise WrongFieldError(
            f"{field} must be seconds from {least:g} to {most:g}, got {shorten(text)}",
            field=field,
            expected=f"{least:g} to {most:g}",
            received=shorten(text),
        )
    return seconds

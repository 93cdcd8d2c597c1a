"""What a request may spend and how it wants to be served (DESIGN 5.3).

Read from headers, or metadata, and from the parameters of the Open Inference Protocol. All that is
given counts: the stricter figure wins.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from app.errors import HeaderError, WrongFieldError
from app.protocol.diagnosis import shorten
from app.protocol.tensors import Parameter
from app.scheduling.types import Budget, BudgetKind

Handling = Literal["strict", "lenient"]
RawHeaders = Iterable[tuple[bytes, bytes]]

_NUMBER = re.compile(rb"[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?")
_GRPC_TIMEOUT = re.compile(rb"([0-9]{1,8})([HMSmun])")
_GRPC_UNIT_S = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_HANDLING = re.compile(r'handling\s*=\s*"?(strict|lenient)"?\s*(?:;.*)?', re.IGNORECASE)
_LEAST_ENERGY = re.compile(r'energy\s*=\s*"?least"?\s*(?:;.*)?', re.IGNORECASE)
_MINIMAL = re.compile(r'return\s*=\s*"?minimal"?\s*(?:;.*)?', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Quantity:
    name: str
    kind: BudgetKind
    scale: float
    """Base units in one of its units."""
    at_most: float = math.inf

    @property
    def allowed(self) -> str:
        if self.at_most < math.inf:
            return f"a number above 0 and at most {self.at_most:g}"
        return "a finite number above 0"

    def in_base_units(self, amount: float) -> float | None:
        """Convert; None for what is not allowed."""
        if not 0 < amount < math.inf or amount > self.at_most:
            return None
        return max(amount * self.scale, sys.float_info.min)  # never rounded down to nothing


_HEADERS = {
    header.name.lower().encode(): header
    for header in (
        _Quantity("X-Latency-Budget-Ms", "latency", 1e-3),
        _Quantity("X-Energy-Budget-mJ", "energy", 1e-3),
        _Quantity("X-Power-Budget-W", "power", 1.0),
        _Quantity("X-Accuracy-Floor", "accuracy", 1.0, at_most=1.0),
        _Quantity("x-envoy-expected-rq-timeout-ms", "latency", 1e-3),
        _Quantity("x-request-timeout-seconds", "latency", 1.0),
    )
}
_PARAMETERS = (
    _Quantity("latency_budget_ms", "latency", 1e-3),
    _Quantity("energy_budget_mj", "energy", 1e-3),
    _Quantity("power_budget_w", "power", 1.0),
    _Quantity("accuracy_floor", "accuracy", 1.0, at_most=1.0),
    _Quantity("timeout", "latency", 1e-6),
)
_GRPC = b"grpc-timeout"
_PREFER = b"prefer"
_CASCADE = b"sentryfuse-cascade"
_CASCADE_NAME = "SentryFuse-Cascade"
_CONFIDENCE = "a number above 0 and below 1"


@dataclass(frozen=True, slots=True)
class BudgetRequest:
    """The budget of a request and how it prefers to be served."""

    budget: Budget
    handling: Handling | None = None
    """As asked by ``Prefer``; None if it was not sent."""
    cascade: float | None = None
    """Confidence at which a smaller variant's answer will do; None for no cascade."""
    minimal: bool = False
    """Whether the answer shall hold what the model says and nothing else: no plan, no receipt."""

    @property
    def applied(self) -> str:
        """Which preferences were heard, as ``Preference-Applied`` says it; empty for none."""
        preferences = (
            f"handling={self.handling}" if self.handling else None,
            "energy=least" if self.budget.least_energy else None,
            "return=minimal" if self.minimal else None,
        )
        return ", ".join(filter(None, preferences))


def parse_budget(headers: RawHeaders) -> BudgetRequest:
    """Read every budget header, of several that mean the same the smallest, and the cascade.

    Args:
        headers: Raw headers, names in lower case (ASGI).

    Raises:
        HeaderError: A header does not parse, is not finite, not positive, or came twice.
    """
    spent: dict[BudgetKind, float] = {}
    seen: set[bytes] = set()
    handling: Handling | None = None
    cascade: float | None = None
    minimal = least_energy = False
    for name, value in headers:
        if name == _PREFER:
            preferences = [each.strip() for each in value.decode("latin-1").split(",")]
            handling = handling or _handling(preferences)
            least_energy = least_energy or any(map(_LEAST_ENERGY.fullmatch, preferences))
            minimal = minimal or any(map(_MINIMAL.fullmatch, preferences))
            continue
        if name == _CASCADE:
            if cascade is not None:
                raise HeaderError(f"{_CASCADE_NAME} was sent more than once", header=_CASCADE_NAME)
            cascade = _confidence(value)
            continue
        header = _HEADERS.get(name)
        if header is None and name != _GRPC:
            continue
        if name in seen:
            shown = header.name if header else "grpc-timeout"
            raise HeaderError(f"{shown} was sent more than once", header=shown)
        seen.add(name)
        kind: BudgetKind = header.kind if header else "latency"
        amount = _amount(header, value) if header else _grpc_timeout(value)
        spent[kind] = min(amount, spent.get(kind, math.inf))
    budget = Budget(
        latency_s=spent.get("latency"),
        energy_j=spent.get("energy"),
        power_w=spent.get("power"),
        accuracy_floor=spent.get("accuracy"),
        least_energy=least_energy,
        strict=handling == "strict",
    )
    return BudgetRequest(budget, handling, cascade, minimal)


def with_parameters(wanted: BudgetRequest, parameters: Mapping[str, Parameter]) -> BudgetRequest:
    """Add what a request's parameters say to what its headers said; the stricter of both counts.

    Args:
        wanted: As read from the headers.
        parameters: ``latency_budget_ms``, ``energy_budget_mj``, ``power_budget_w``,
            ``accuracy_floor``, ``timeout`` (microseconds; 0 for none, as Triton has it),
            ``handling``, ``energy`` (``least``) and ``cascade``, as numbers or as text. Others are
            not ours.

    Raises:
        WrongFieldError: One of them has no usable value.
    """
    if not parameters:
        return wanted
    budget, handling, cascade = wanted.budget, wanted.handling, wanted.cascade
    for quantity in _PARAMETERS:
        value = parameters.get(quantity.name)
        if value is None or (quantity.name == "timeout" and value in (0, "0")):
            continue
        amount = quantity.in_base_units(_number(value))
        if amount is None:
            raise _bad_parameter(quantity.name, quantity.allowed, value)
        budget = _tightened(budget, quantity.kind, amount)
    asked = parameters.get("handling")
    if asked is not None:
        if asked not in ("strict", "lenient"):
            raise _bad_parameter("handling", "strict or lenient", asked)
        handling = "strict" if "strict" in (asked, handling) else "lenient"
    preferred = parameters.get("energy")
    if preferred is not None:
        if preferred != "least":
            raise _bad_parameter("energy", "least", preferred)
        budget = replace(budget, least_energy=True)
    confidence = parameters.get("cascade")
    if confidence is not None:
        cascade = max(_number(confidence), cascade or 0.0)
        if not 0 < cascade < 1:
            raise _bad_parameter("cascade", _CONFIDENCE, confidence)
    budget = replace(budget, strict=handling == "strict")
    return replace(wanted, budget=budget, handling=handling, cascade=cascade)


def _tightened(budget: Budget, kind: BudgetKind, amount: float) -> Budget:
    if kind == "accuracy":
        return replace(budget, accuracy_floor=max(amount, budget.accuracy_floor or 0.0))
    if kind == "latency":
        return replace(budget, latency_s=min(amount, budget.latency_s or math.inf))
    if kind == "energy":
        return replace(budget, energy_j=min(amount, budget.energy_j or math.inf))
    return replace(budget, power_w=min(amount, budget.power_w or math.inf))


def _number(value: Parameter) -> float:
    """Read a parameter that should be a number; NaN if it is none."""
    if isinstance(value, str):
        try:
            return _parsed(value.encode("ascii"))
        except UnicodeEncodeError:
            return math.nan
    try:
        return math.nan if isinstance(value, bool) else float(value)
    except OverflowError:
        return math.inf


def _parsed(text: bytes) -> float:
    return float(text) if _NUMBER.fullmatch(text) else math.nan


def _amount(header: _Quantity, value: bytes) -> float:
    amount = header.in_base_units(_parsed(value))
    if amount is None:
        raise _bad_value(header.name, header.allowed, value)
    return amount


def _confidence(value: bytes) -> float:
    confidence = _parsed(value)
    if not 0 < confidence < 1:
        raise _bad_value(_CASCADE_NAME, _CONFIDENCE, value)
    return confidence


def _grpc_timeout(value: bytes) -> float:
    match = _GRPC_TIMEOUT.fullmatch(value)
    amount = int(match[1]) * _GRPC_UNIT_S[match[2]] if match else 0.0
    if amount <= 0:
        allowed = "1 to 8 digits above 0 and one of H, M, S, m, u, n"
        raise _bad_value("grpc-timeout", allowed, value)
    return amount


def _bad_value(name: str, allowed: str, value: bytes) -> HeaderError:
    received = value[:40].decode("latin-1")
    return HeaderError(
        f"{name} must be {allowed}, got {received!r}",
        header=name,
        expected=allowed,
        received=received,
    )


def _bad_parameter(name: str, allowed: str, value: Parameter) -> WrongFieldError:
    received = shorten(value)
    return WrongFieldError(
        f"parameter {name} must be {allowed}, got {received}",
        field=f"parameters.{name}",
        expected=allowed,
        received=received,
    )


def _handling(preferences: Sequence[str]) -> Handling | None:
    """Read ``handling=`` out of preferences; those that are not ours are left alone (RFC 7240)."""
    for preference in preferences:
        if match := _HANDLING.fullmatch(preference):
            return "strict" if match[1].lower() == "strict" else "lenient"
    return None

"""What a request may spend and how it wants to be served, read from its headers (DESIGN 5.3)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from app.errors import HeaderError
from app.scheduling.types import Budget, BudgetKind

Handling = Literal["strict", "lenient"]
RawHeaders = Iterable[tuple[bytes, bytes]]

_NUMBER = re.compile(rb"[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+(?:[eE][+-]?[0-9]+)?")
_GRPC_TIMEOUT = re.compile(rb"([0-9]{1,8})([HMSmun])")
_GRPC_UNIT_S = {b"H": 3600.0, b"M": 60.0, b"S": 1.0, b"m": 1e-3, b"u": 1e-6, b"n": 1e-9}
_HANDLING = re.compile(r'handling\s*=\s*"?(strict|lenient)"?\s*(?:;.*)?', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _BudgetHeader:
    name: str
    kind: BudgetKind
    scale: float
    """Base units in one unit of the header."""
    at_most: float = math.inf


_HEADERS = {
    header.name.lower().encode(): header
    for header in (
        _BudgetHeader("X-Latency-Budget-Ms", "latency", 1e-3),
        _BudgetHeader("X-Energy-Budget-mJ", "energy", 1e-3),
        _BudgetHeader("X-Power-Budget-W", "power", 1.0),
        _BudgetHeader("X-Accuracy-Floor", "accuracy", 1.0, at_most=1.0),
        _BudgetHeader("x-envoy-expected-rq-timeout-ms", "latency", 1e-3),
        _BudgetHeader("x-request-timeout-seconds", "latency", 1.0),
    )
}
_GRPC = b"grpc-timeout"
_PREFER = b"prefer"
_CASCADE = b"sentryfuse-cascade"
_CASCADE_NAME = "SentryFuse-Cascade"


@dataclass(frozen=True, slots=True)
class BudgetRequest:
    """The budget of a request and how it prefers to be served."""

    budget: Budget
    handling: Handling | None = None
    """As asked by ``Prefer``; None if it was not sent."""
    cascade: float | None = None
    """Confidence at which a smaller variant's answer will do; None for no cascade."""


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
    for name, value in headers:
        if name == _PREFER:
            handling = handling or _handling(value)
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
        strict=handling == "strict",
    )
    return BudgetRequest(budget, handling, cascade)


def _amount(header: _BudgetHeader, value: bytes) -> float:
    amount = float(value) if _NUMBER.fullmatch(value) else math.nan
    in_base_units = amount * header.scale
    if not (0 < in_base_units < math.inf and amount <= header.at_most):
        allowed = "a finite number above 0"
        if header.at_most < math.inf:
            allowed = f"a number above 0 and at most {header.at_most:g}"
        raise _bad_value(header.name, allowed, value)
    return in_base_units


def _confidence(value: bytes) -> float:
    confidence = float(value) if _NUMBER.fullmatch(value) else math.nan
    if not 0 < confidence < 1:
        raise _bad_value(_CASCADE_NAME, "a number above 0 and below 1", value)
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


def _handling(value: bytes) -> Handling | None:
    """Read ``handling=`` out of a Prefer header; other preferences are not ours (RFC 7240)."""
    for preference in value.decode("latin-1").split(","):
        if match := _HANDLING.fullmatch(preference.strip()):
            return "strict" if match[1].lower() == "strict" else "lenient"
    return None

"""Arguments that many calls share, typed once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypedDict

from app.client.errors import ClientError

_NO_BREAK = re.compile(r"[^\r\n\0]*")


class CallOptions(TypedDict, total=False):
    """Of every call."""

    deadline_s: float | None
    """Time for all of it, waits and retries included; the client's own if None."""
    request_id: str | None
    """Sent as ``X-Request-Id``; comes back, and stands in the service's log."""
    traceparent: str | None
    """W3C trace context of the caller, passed on."""


class BudgetOptions(TypedDict, total=False):
    """What a request may spend."""

    latency_ms: float | None
    """From the last byte of the request read to the first byte of the answer written."""
    energy_mj: float | None
    """Active energy of this request, idle power excluded."""
    power_w: float | None
    """Mean power of the node while this stream is served."""
    accuracy_floor: float | None
    """Lowest expected accuracy that is accepted, 0 to 1."""
    least_energy: bool | None
    """True: the least energy that floor and budgets allow, rather than the most accuracy."""
    strict: bool | None
    """True: fail rather than miss a budget. The service's default, lenient, if None."""


class PlanOptions(BudgetOptions, CallOptions, total=False):
    """Of a dry run."""

    batch: int
    """Windows in the request; 1 unless given."""


class InferOptions(BudgetOptions, CallOptions, total=False):
    """Of an inference."""

    cascade: float | None
    """Confidence at which a smaller variant's answer will do."""
    id: str | None
    """Comes back in the answer."""
    binary: bool | None
    """Send tensors, not JSON; the client's own choice if None."""


class StreamOptions(BudgetOptions, total=False):
    """Of a stream; the budgets are each window's."""

    hop_s: float | None
    """From the end of one window to the end of the next."""
    silence_s: float | Mapping[str, float] | None
    """How far sensors, or some by name, may fall behind before they are left out."""
    cascade: float | None
    """Confidence at which a smaller variant's answer will do."""
    id: str | None
    """Comes back with every answer."""
    request_id: str | None
    """Sent as ``X-Request-Id``; stands in the service's log."""
    traceparent: str | None
    """W3C trace context of the caller, passed on."""


_BUDGETS = (
    ("energy_mj", "X-Energy-Budget-mJ"),
    ("power_w", "X-Power-Budget-W"),
    ("accuracy_floor", "X-Accuracy-Floor"),
    ("cascade", "SentryFuse-Cascade"),
)


def headers_of(options: PlanOptions | InferOptions | CallOptions | StreamOptions) -> dict[str, str]:
    """Write options as headers, all but the latency budget, which depends on the time left.

    Raises:
        ClientError: The text can't stand in a header.
    """
    headers = {
        name: f"{value:.9g}" for key, name in _BUDGETS if (value := options.get(key)) is not None
    }
    if preferences := _preferences(options.get("strict"), options.get("least_energy")):
        headers["Prefer"] = preferences
    for key, name in (("request_id", "X-Request-Id"), ("traceparent", "traceparent")):
        if (text := options.get(key)) is not None:
            headers[name] = header_text(key, str(text))
    return headers


def _preferences(strict: object, least_energy: object) -> str:
    """Write preferences as one header (RFC 7240); empty for none."""
    handling = None if strict is None else f"handling={'strict' if strict else 'lenient'}"
    return ", ".join(filter(None, (handling, "energy=least" if least_energy else None)))


def header_text(argument: str, text: str) -> str:
    """Return the text if it can stand in a header.

    Raises:
        ClientError: It holds a line break, or is not ASCII.
    """
    if not text.isascii() or not _NO_BREAK.fullmatch(text):
        raise ClientError(f"{argument} must be ASCII text in one line")
    return text


def latency_s(options: BudgetOptions | CallOptions) -> float | None:
    """Return the latency budget: what was asked, or else the deadline of this very call.

    Work that is done after the caller has left is wasted; the service should know.
    """
    asked_ms = options.get("latency_ms")
    if asked_ms is not None:
        return float(asked_ms) / 1e3  # type: ignore[arg-type]
    deadline_s = options.get("deadline_s")
    return None if deadline_s is None else float(deadline_s)  # type: ignore[arg-type]

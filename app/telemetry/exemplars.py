"""Exemplars: one traced request behind a number, so that a dashboard can link to its trace."""

from __future__ import annotations

from typing import NamedTuple

_TRACE_ID = slice(3, 35)
_FLAGS = slice(53, 55)
_SAMPLED = 1


class Exemplar(NamedTuple):
    """One observation whose trace is kept somewhere."""

    trace_id: str
    value: float
    at_s: float
    """Seconds since 1970."""


def recorded_trace(traceparent: str | None) -> str | None:
    """Return the id of a trace that somebody records; None if nobody does.

    Args:
        traceparent: Well-formed (W3C Trace Context), or None.
    """
    if traceparent is None or not int(traceparent[_FLAGS], 16) & _SAMPLED:
        return None
    return traceparent[_TRACE_ID]

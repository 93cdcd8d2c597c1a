"""From an HTTP error answer to the exception for it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from app.client import errors
from app.client.wire import Reply

_PREFIX = "urn:sentryfuse:problem:"
BY_PROBLEM: Mapping[str, type[errors.ClientError]] = {
    "bad-header": errors.HeaderError,
    "wrong-input": errors.WrongInputError,
    "wrong-field": errors.WrongFieldError,
    "unusable-model": errors.UnusableModelError,
    "impossible-budget": errors.BudgetError,
    "too-many-connections": errors.OverloadedError,
}
"""By the last part of the problem's type, where the status alone would not tell."""

BY_STATUS: Mapping[int, type[errors.ClientError]] = {
    400: errors.MalformedError,
    401: errors.UnauthorisedError,
    403: errors.ForbiddenError,
    404: errors.NotFoundError,
    405: errors.UnsupportedError,
    408: errors.DeadlineError,
    413: errors.TooLargeError,
    414: errors.TooLargeError,
    415: errors.UnsupportedError,
    422: errors.WrongFieldError,
    429: errors.OverloadedError,
    431: errors.TooLargeError,
    502: errors.UnavailableError,
    503: errors.NotReadyError,
    504: errors.DeadlineError,
}

_OWN_MEMBERS = ("type", "title", "status", "detail", "error", "request_id", "retry_after_s")


def error_of(reply: Reply, now: datetime) -> errors.ClientError:
    """Make the exception for an answer that is an error.

    Args:
        reply: The answer.
        now: Time of day, for a ``Retry-After`` that is a date.
    """
    body = _members(reply.content)
    refusal = errors.Refusal(
        status=reply.status,
        type=_text(body, "type") or "about:blank",
        request_id=_text(body, "request_id") or reply.headers.get("x-request-id"),
        retry_after_s=_retry_after_s(reply, body, now),
        facts={name: value for name, value in body.items() if name not in _OWN_MEMBERS},
    )
    message = _text(body, "detail") or _text(body, "error") or f"HTTP status {reply.status}"
    return _class(refusal)(message, refusal)


def _class(refusal: errors.Refusal) -> type[errors.ClientError]:
    known = BY_PROBLEM.get(refusal.type.removeprefix(_PREFIX))
    if known is not None:
        return known
    fallback = errors.ServiceError if refusal.status >= 500 else errors.ProtocolError
    return BY_STATUS.get(refusal.status, fallback)


def _members(content: bytes) -> dict[str, Any]:
    """Read the body if it is a JSON object, whatever it says it is."""
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _text(body: Mapping[str, Any], name: str) -> str | None:
    value = body.get(name)
    return value if isinstance(value, str) else None


def _retry_after_s(reply: Reply, body: Mapping[str, Any], now: datetime) -> float | None:
    """The service's own figure if it gives one: the header only knows whole seconds."""
    exact = body.get("retry_after_s")
    if isinstance(exact, int | float) and 0 <= exact < float("inf"):
        return float(exact)
    header = reply.headers.get("retry-after")
    if header is None:
        return None
    return parse_retry_after(header, _date(reply.headers.get("date", "")) or now)


def parse_retry_after(value: str, now: datetime) -> float | None:
    """Read a ``Retry-After`` header: seconds, or a date (RFC 9110 10.2.3).

    Args:
        value: The header.
        now: What the sender's clock shows, best taken from its ``Date`` header.

    Returns:
        Seconds from now, 0 for a date that has passed; None for a header that is neither.
    """
    if value.strip().isascii() and value.strip().isdigit():
        return float(value)
    date = _date(value)
    return None if date is None else max(0.0, (date - now).total_seconds())


def _date(value: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=UTC)

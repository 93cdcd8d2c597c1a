"""What both clients tell httpx, and what they make of its troubles."""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx

from app.client.options import header_text
from app.client.wire import Failure, Send

USER_AGENT = "sentryfuse-client"
_CONNECT_S = 5.0
"""Longer than this an address does not answer; the next sending may find another one."""


def base_url(url: str) -> str:
    """Check the address of the service.

    Raises:
        ValueError: It is not a full http or https address.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"url must be like http://host:8080, got {url!r}")
    return url


def default_headers(api_key: str | None) -> dict[str, str]:
    """Return the headers of every request."""
    headers = {"User-Agent": USER_AGENT, "Accept": "application/json"}
    if api_key is not None:
        headers["Authorization"] = f"Bearer {header_text('api_key', api_key)}"
    return headers


def timeout_of(send: Send) -> httpx.Timeout:
    """Return how long each step of an exchange may take at most."""
    return httpx.Timeout(send.timeout_s, connect=min(send.timeout_s, _CONNECT_S))


def failure_of(error: httpx.RequestError | TimeoutError, *, begun: bool = False) -> Failure:
    """Say what it means that no answer came.

    Args:
        error: What httpx raised.
        begun: Whether the head of the answer had come.
    """
    message = str(error) or type(error).__name__
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.ProxyError):
        return Failure("unreached", f"the service can't be reached: {message}")
    if isinstance(error, TimeoutError | httpx.TimeoutException):
        return Failure("timeout", message)
    if begun or not isinstance(error, httpx.TransportError):
        return Failure("cut", f"the answer broke off: {message}")
    return Failure("dropped", f"the connection was closed before an answer came: {message}")

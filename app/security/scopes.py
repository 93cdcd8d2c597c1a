"""What a key may be good for, and the one table that says what each call over HTTP needs."""

from __future__ import annotations

import re
from typing import Literal, get_args

Scope = Literal["infer", "read", "admin"]
SCOPES: tuple[Scope, ...] = get_args(Scope)

_MODEL = r"/models/[^/]+(?:/versions/[^/]+)?"
_ASKS = r"GET|HEAD"
# The first line that matches a "METHOD path" decides. None: open to all. A WebSocket opens with
# GET. What no line names needs "admin" if it could change something, so that a route which is
# forgotten here is closed rather than open.
_TABLE: tuple[tuple[str, Scope | None], ...] = (
    (rf"(?:{_ASKS}) /health(?:z|/live|/ready)?", None),
    (rf"(?:{_ASKS}) /v2/health/(?:live|ready)", None),
    # The pages themselves tell nothing; they ask for a key, and with it for what they show.
    (rf"(?:{_ASKS}) /(?:docs|page/[a-z-]+\.(?:css|js|svg))?", None),
    (rf"POST /v1(?:{_MODEL})?/(?:infer|plan)", "infer"),
    (rf"GET /v1(?:{_MODEL})?/stream", "infer"),
    (rf"POST /v2{_MODEL}/infer", "infer"),
    (r"POST /v2/repository/index", "read"),
    (rf"(?:{_ASKS}|OPTIONS) .*", "read"),
    (r".*", "admin"),
)
_PATTERNS = tuple((re.compile(pattern, re.DOTALL), scope) for pattern, scope in _TABLE)
_HOT: dict[tuple[str, str], Scope] = {("POST", "/v1/infer"): "infer"}


def scope_of(method: str, path: str) -> Scope | None:
    """Return the scope that a call over HTTP needs; None if it is open to all.

    Args:
        method: Of the request; GET for the handshake of a WebSocket.
        path: Decoded, without the query.
    """
    if (hot := _HOT.get((method, path))) is not None:
        return hot
    call = f"{method} {path}"
    return next(scope for pattern, scope in _PATTERNS if pattern.fullmatch(call))

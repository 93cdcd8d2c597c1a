"""Inference requests turned away at their head, while more come than can be answered."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import Scope

from app.api.context import identify
from app.api.errors import respond
from app.errors import RequestError, ShedError
from app.protocol.budgets import parse_budget
from app.scheduling.crowd import Crowd
from app.telemetry.logs import RequestContext, current_request
from app.wire.breather import Breather

logger = logging.getLogger(__name__)

_REPORT_S = 1.0
_MOST_KEPT = 1024
_LONGEST_HEAD = 2048
_PLACEHOLDER = b"0" * 32
_ID_BITS = 128
_SUFFIX = "/infer"
_OPEN_PROTOCOL = "/v2/"
_LINE = b"HTTP/1.1 429 Too Many Requests\r\n"
_WHY = "more requests come than can be answered in time"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """What the door must know of a request to infer, all of it from its head."""

    path: str
    allowed_s: float
    """How long it may wait for its answer."""
    body_bytes: int | None
    """Length of its body, if its head says that."""
    request_id: str | None
    """The one that it brought."""
    count: Callable[[], None]
    """Counts it as refused."""


class Door:
    """Decides on requests whose head has been read, and writes the refusal.

    A refusal here costs a small part of one inside: no task, no parsing, no log line of its own.
    What was refused is counted as ever, and logged once a second.

    Heads are remembered: clients send the same bytes again and again, and those need no parser to
    be recognised.

    Args:
        crowd: Those who are inside.
        on_refusal: Told when somebody was refused, and how long that one could have waited.
        find: Where a request to infer leads, None for others; notes in the scope what it found.
        count: Returns what counts refusals of requests such as this one.
        late_s: How much later than its budget a lenient request may be.
        patience_s: How long a request without latency budget may wait.
        clock: Monotone seconds.
    """

    def __init__(
        self,
        crowd: Crowd,
        *,
        on_refusal: Callable[[float, float], None],
        find: Callable[[Scope], object | None],
        count: Callable[[Scope], Callable[[], None]],
        late_s: float,
        patience_s: float,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._crowd = crowd
        self._on_refusal = on_refusal
        self._find = find
        self._count = count
        self._late_s = late_s
        self._patience_s = patience_s
        self._clock = clock
        self.breather = Breather(clock)
        """To be told of each connection that a refusal was written to."""
        self._coming = 0
        self._turned_away = 0
        self._heads: dict[bytes, Caller] = {}
        self._forms: dict[tuple[bool, bool, float], bytes] = {}

    @property
    def crowded(self) -> bool:
        """Whether anybody might be turned away."""
        return self._crowd.crowded(self._coming)

    def caller(self, scope: Scope) -> Caller | None:
        """Look at a request; None for one that is not turned away here, whatever happens."""
        if not scope["path"].endswith(_SUFFIX):
            return None
        endpoint = self._find(scope)
        if endpoint is None:
            return None
        scope["endpoint"] = endpoint
        headers = scope["headers"]
        try:
            budget = parse_budget(headers).budget
        except RequestError:
            return None  # it will be told what is wrong with it
        allowed_s = self._patience_s
        if budget.latency_s is not None:
            allowed_s = budget.latency_s + (0.0 if budget.strict else self._late_s)
        own_id = any(name == b"x-request-id" for name, _ in headers)
        return Caller(
            path=scope["path"],
            allowed_s=allowed_s,
            body_bytes=_body_bytes(headers),
            request_id=identify(headers).request_id if own_id else None,
            count=self._count(scope),
        )

    def remember(self, head: bytes, caller: Caller) -> None:
        """Know the next request by its head, if it is the same to the last byte."""
        if caller.body_bytes is None or caller.request_id or len(head) > _LONGEST_HEAD:
            return
        if len(self._heads) >= _MOST_KEPT:
            self._heads.clear()
        self._heads[head] = caller

    def recall(self, head: bytes) -> Caller | None:
        """Return who sends this head, if it was sent before."""
        return self._heads.get(head)

    def refusal(self, caller: Caller, *, last: bool) -> bytes | None:
        """Return the whole answer to a request that may not come in; None if it may.

        Args:
            caller: Who wants to come in.
            last: Whether its connection ends with it.
        """
        now_s = self._clock()
        retry_s = self._crowd.refusal_s(now_s, caller.allowed_s, self._coming)
        if retry_s is None:
            if not self._coming:  # until the loop turns they are not inside yet
                asyncio.get_running_loop().call_soon(self._have_come)
            self._coming += 1
            return None
        caller.count()
        self._on_refusal(now_s, caller.allowed_s)
        if not self._turned_away:
            asyncio.get_running_loop().call_later(_REPORT_S, self._report)
        self._turned_away += 1
        return self._answer(caller, round(retry_s, 2), last)

    def _have_come(self) -> None:
        self._coming = 0

    def _report(self) -> None:
        facts = {"problem": "shed", "requests": self._turned_away}
        self._turned_away = 0
        logger.info("turned away at the door", extra={"facts": facts})

    def _answer(self, caller: Caller, retry_s: float, last: bool) -> bytes:
        if caller.request_id is not None:
            return _written(caller.path, retry_s, last, caller.request_id)
        key = (caller.path.startswith(_OPEN_PROTOCOL), last, retry_s)
        form = self._forms.get(key)
        if form is None:
            if len(self._forms) >= _MOST_KEPT:
                self._forms.clear()
            placeholder = _PLACEHOLDER.decode()
            form = self._forms[key] = _written(caller.path, retry_s, last, placeholder)
        return form.replace(_PLACEHOLDER, b"%032x" % random.getrandbits(_ID_BITS))


def _body_bytes(headers: list[tuple[bytes, bytes]]) -> int | None:
    """Length of a body that is sent at once and as it is; None where the head does not say it."""
    lengths = [value for name, value in headers if name == b"content-length"]
    framed = any(name in (b"transfer-encoding", b"expect", b"upgrade") for name, _ in headers)
    return int(lengths[0]) if len(lengths) == 1 and lengths[0].isdigit() and not framed else None


def _written(path: str, retry_after_s: float, last: bool, request_id: str) -> bytes:
    """Write a whole response."""
    error = ShedError(_WHY, reason="busy", retry_after_s=retry_after_s)
    token = current_request.set(RequestContext(request_id))
    try:
        response = respond(error, path)
    finally:
        current_request.reset(token)
    headers = [*response.raw_headers, (b"x-request-id", request_id.encode())]
    if last:
        headers.append((b"connection", b"close"))
    head = b"".join(b"%b: %b\r\n" % pair for pair in headers)
    return _LINE + head + b"\r\n" + bytes(response.body)

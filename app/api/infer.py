"""POST infer: the hot path, plain ASGI from the first byte to the last."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from app.answering.answer import Answer
from app.answering.ask import Ask
from app.api.body import RawHeaders, read_body
from app.errors import ClientGoneError
from app.inference.model import ServedModel
from app.inference.windows import Windows
from app.protocol.budgets import BudgetRequest, parse_budget
from app.protocol.render import server_timing
from app.service import InferenceService


@dataclass(frozen=True, slots=True)
class Written:
    """The body of an answer, and what its headers must say of it."""

    content: bytes
    headers: tuple[tuple[bytes, bytes], ...]


@dataclass(frozen=True, slots=True)
class Question:
    """What a body asks for, and how it wants to be answered."""

    windows: Windows
    wanted: BudgetRequest
    write: Callable[[Answer], Written]


class Line(Protocol):
    """The connection of a request, where the server has more to offer than ASGI (`app.wire`)."""

    def answer(self, headers: Sequence[tuple[bytes, bytes]], content: bytes) -> bool:
        """Write a whole 200 at once; False if nothing was written."""
        ...

    def watch(self, on_leave: Callable[[], None] | None) -> None:
        """Have a function called when the client leaves; None for none any more."""
        ...


class Dialect(Protocol):
    """How requests are read and answers written under one of the APIs."""

    def check(self, headers: RawHeaders) -> None:
        """Refuse a body by its headers.

        Raises:
            RequestError: It is of no type that is read here.
        """

    def read(
        self, model: ServedModel, headers: RawHeaders, body: bytes, wanted: BudgetRequest
    ) -> Question:
        """Read a body.

        Args:
            model: Who is asked.
            headers: Those of the request.
            body: All of it.
            wanted: What the headers say of budgets; a body may narrow it.

        Raises:
            RequestError: It can't be read, or does not fit the model.
        """


class InferEndpoint:
    """Reads a request, asks the service, writes the answer.

    Args:
        path: The route, for metrics.
        service: What answers.
        dialect: Reads requests and writes answers.
        default_model: Asked when the route names none.
        max_body_bytes: Longest body that is read.
    """

    def __init__(
        self,
        path: str,
        service: InferenceService,
        dialect: Dialect,
        *,
        default_model: str,
        max_body_bytes: int,
    ) -> None:
        self.path = path
        self._service = service
        self._dialect = dialect
        self._default_model = default_model
        self._max_body_bytes = max_body_bytes

    def route(self) -> Route:
        """The route that leads here."""
        return Route(self.path, self, methods=["POST"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; its clock starts once the body is complete."""
        service, headers = self._service, scope["headers"]
        path_params = scope.setdefault("path_params", {})
        model = service.model(
            path_params.setdefault("model", self._default_model), path_params.get("version")
        )
        wanted = parse_budget(headers)
        self._dialect.check(headers)
        body = await read_body(headers, receive, limit=self._max_body_bytes)
        received_s = service.clock()
        with service.stay() as stay:
            service.check_room(model)
            waited_s = await service.turn_to_read(wanted.budget, received_s)
            has_left = partial(_has_left, receive)
            line: Line | None = scope.get("line")
            if waited_s and has_left():
                raise ClientGoneError
            began_cpu_s = time.thread_time()
            question = self._dialect.read(model, headers, body, wanted)
            ask = Ask(
                windows=question.windows,
                budget=question.wanted.budget,
                received_s=received_s,
                waited_s=waited_s,
                parse_cpu_s=time.thread_time() - began_cpu_s,
                cascade=question.wanted.cascade,
                gone=partial(_disconnected, receive),
                watch=None if line is None else line.watch,
                has_left=has_left,
            )
            answer = await service.infer(model, ask)
            written = question.write(answer)
            answered = _headers(answer, written, question.wanted)
            if line is not None and line.answer([*answered, *scope["echoed"]], written.content):
                scope["answered"] = 200
                first_byte_s = service.clock()
            else:
                start = {"type": "http.response.start", "status": 200, "headers": answered}
                await send(start)
                first_byte_s = service.clock()
                await send({"type": "http.response.body", "body": written.content})
            service.answered(ask, answer, first_byte_s)
            stay.in_time = answer.receipt.in_time
            if (trace := scope.get("trace")) is not None:
                trace.tell(ask, answer, first_byte_s)


def _headers(answer: Answer, written: Written, wanted: BudgetRequest) -> list[tuple[bytes, bytes]]:
    receipt = answer.receipt
    headers = [
        *written.headers,
        (b"content-length", str(len(written.content)).encode()),
        (b"server-timing", server_timing(receipt).encode()),
        (b"sentryfuse-variant", answer.variant.encode()),
        (b"sentryfuse-budget-met", b"true" if receipt.met else b"false"),
    ]
    if applied := wanted.applied:
        headers.append((b"preference-applied", applied.encode()))
    return headers


async def _disconnected(receive: Receive) -> None:
    """Return when the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _has_left(receive: Receive) -> bool:
    """Whether the client has closed the connection; asks without waiting for the answer."""
    news = receive()
    assert isinstance(news, Coroutine)
    try:
        news.send(None)
    except StopIteration as told:
        left: bool = told.value["type"] == "http.disconnect"
        return left
    finally:
        news.close()
    return False

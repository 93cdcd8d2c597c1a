"""POST infer: the hot path, plain ASGI from the first byte to the last."""

from __future__ import annotations

import time
from functools import partial

import orjson
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from app.api.body import check_is_json, read_body
from app.api.readers import WindowReaders
from app.ask import Ask
from app.protocol.budgets import parse_budget
from app.protocol.render import answer_json, server_timing
from app.service import InferenceService

_JSON = (b"content-type", b"application/json")


class InferEndpoint:
    """Reads a request, asks the service, writes the answer.

    Args:
        path: The route, for metrics.
        service: What answers.
        readers: Read the windows.
        default_model: Asked when the route names none.
        max_body_bytes: Longest body that is read.
    """

    def __init__(
        self,
        path: str,
        service: InferenceService,
        readers: WindowReaders,
        *,
        default_model: str,
        max_body_bytes: int,
    ) -> None:
        self.path = path
        self._service = service
        self._default_model = default_model
        self._max_body_bytes = max_body_bytes
        self._readers = readers

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
        check_is_json(headers)
        body = await read_body(headers, receive, limit=self._max_body_bytes)
        received_s = service.clock()
        service.check_room(model)
        waited_s = await service.turn_to_read(wanted.budget, received_s)
        began_cpu_s = time.thread_time()
        windows = self._readers.of(model).read(body)
        ask = Ask(
            windows=windows,
            budget=wanted.budget,
            received_s=received_s,
            waited_s=waited_s,
            parse_cpu_s=time.thread_time() - began_cpu_s,
            cascade=wanted.cascade,
            gone=partial(_disconnected, receive),
        )
        answer = await service.infer(model, ask)
        content = orjson.dumps(answer_json(answer))
        receipt = answer.receipt
        response_headers = [
            _JSON,
            (b"content-length", str(len(content)).encode()),
            (b"server-timing", server_timing(receipt).encode()),
            (b"sentryfuse-variant", answer.variant.encode()),
            (b"sentryfuse-budget-met", b"true" if receipt.met else b"false"),
        ]
        if wanted.handling is not None:
            applied = f"handling={wanted.handling}".encode()
            response_headers.append((b"preference-applied", applied))
        start = {"type": "http.response.start", "status": 200, "headers": response_headers}
        await send(start)
        first_byte_s = service.clock()
        await send({"type": "http.response.body", "body": content})
        service.answered(ask, answer, first_byte_s)


async def _disconnected(receive: Receive) -> None:
    """Return when the client has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass

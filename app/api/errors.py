"""The one table from what went wrong to what the client is told.

Problem details (RFC 9457), which under ``/v2`` become what the Open Inference Protocol asks for:
the sentence stands in ``error``, the rest beside it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app import errors
from app.telemetry.logs import current_request

logger = logging.getLogger(__name__)

PROBLEM_TYPE = "application/problem+json"
_LINGER_S = 2.0


@dataclass(frozen=True, slots=True)
class Problem:
    """What a class of errors looks like to a client."""

    status: int
    slug: str
    title: str

    @property
    def type(self) -> str:
        """The stable identifier of the problem."""
        return f"urn:sentryfuse:problem:{self.slug}"


INTERNAL = Problem(500, "internal", "Internal error")
PROBLEMS: Mapping[type[errors.RequestError], Problem] = {
    errors.MalformedError: Problem(400, "malformed", "Malformed request"),
    errors.TooDeepError: Problem(400, "too-deep", "Body nested too deep"),
    errors.HeaderError: Problem(400, "bad-header", "Bad header"),
    errors.UnauthorisedError: Problem(401, "unauthorised", "API key needed"),
    errors.ForbiddenError: Problem(403, "forbidden", "API key not good for this"),
    errors.UnknownModelError: Problem(404, "unknown-model", "Unknown model"),
    errors.UnknownServiceError: Problem(404, "unknown-service", "Unknown service"),
    errors.UnusableModelError: Problem(422, "unusable-model", "Stored model can't be served"),
    errors.NoSimulatorError: Problem(404, "no-simulator", "No simulated windows"),
    errors.TooSlowError: Problem(408, "too-slow", "Request not sent in time"),
    errors.BodyTooLargeError: Problem(413, "too-large", "Body too large"),
    errors.UrlTooLongError: Problem(414, "url-too-long", "URL too long"),
    errors.UnsupportedMediaError: Problem(415, "unsupported-media", "Unsupported body"),
    errors.WrongInputError: Problem(422, "wrong-input", "Windows do not fit the model"),
    errors.WrongFieldError: Problem(422, "wrong-field", "Field has no usable value"),
    errors.BudgetError: Problem(422, "impossible-budget", "Budget can't be met"),
    errors.HeadTooLargeError: Problem(431, "head-too-large", "Headers too large"),
    errors.ShedError: Problem(429, "shed", "Too busy"),
    errors.TooManyConnectionsError: Problem(503, "too-many-connections", "Too many connections"),
    errors.NotReadyError: Problem(503, "not-ready", "Not ready"),
    errors.DeadlineError: Problem(504, "deadline", "Latency budget ran out"),
}


def problem_of(error: errors.RequestError) -> Problem:
    """Look an error up, its own class before those it derives from."""
    return next((PROBLEMS[c] for c in type(error).__mro__ if c in PROBLEMS), INTERNAL)


def render(
    problem: Problem, detail: str, facts: Mapping[str, object] | None = None, *, path: str = ""
) -> tuple[bytes, str]:
    """Write a problem as JSON in the words of the API that was called; also return its type."""
    context = current_request.get()
    body: dict[str, object] = {"type": problem.type, "title": problem.title}
    media_type = PROBLEM_TYPE
    if _is_open_protocol(path):
        body, media_type = {"error": detail, **body}, "application/json"
    body |= {"status": problem.status, "detail": detail, **(facts or {})}
    if context is not None:
        body["request_id"] = context.request_id
    try:
        return orjson.dumps(body), media_type
    except TypeError:  # text from the client that is not Unicode: lone surrogates
        return json.dumps(body).encode(), media_type


def _is_open_protocol(path: str) -> bool:
    return path == "/v2" or path.startswith("/v2/")


def internal_error(path: str) -> tuple[int, bytes, str]:
    """Return status, body and media type for a fault of ours; the log has the rest."""
    detail = "a fault in the service; its log has the details"
    return INTERNAL.status, *render(INTERNAL, detail, path=path)


class _LingeringResponse(Response):
    """Closes the connection, but first lets the client finish sending for a moment.

    A client that is still writing when its connection is reset may never see the answer.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, then read and drop what still comes."""
        await send(
            {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        )
        await send({"type": "http.response.body", "body": self.body, "more_body": True})
        try:
            async with asyncio.timeout(_LINGER_S):
                while (await receive()).get("more_body", False):
                    pass
        except TimeoutError:
            logger.debug("the client did not stop sending")
        await send({"type": "http.response.body", "body": b"", "more_body": False})


def respond(error: errors.RequestError, path: str = "") -> Response:
    """Turn an error into its response."""
    problem = problem_of(error)
    headers: dict[str, str] = {}
    facts = dict(error.facts)
    if isinstance(error, errors.UnavailableError):
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
        facts["retry_after_s"] = round(error.retry_after_s, 3)
    if isinstance(error, errors.UnauthorisedError):
        headers["WWW-Authenticate"] = "Bearer"
    content, media_type = render(problem, str(error), facts, path=path)
    if isinstance(error, errors.BodyTooLargeError):
        headers["Connection"] = "close"
        return _LingeringResponse(content, problem.status, headers, media_type)
    return Response(content, problem.status, headers, media_type)


def refuse(error: errors.RequestError, path: str) -> Response:
    """Log a refusal and turn it into its response."""
    logger.info("refused: %s", error, extra={"facts": {"problem": problem_of(error).slug}})
    return respond(error, path)

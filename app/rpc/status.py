"""The one table from what went wrong to a gRPC status; `app.api.errors` has the one for HTTP."""

from __future__ import annotations

import math
from collections.abc import Mapping

import grpc

from app import errors
from app.api.errors import problem_of, render

Metadata = tuple[tuple[str, str | bytes], ...]

CODES: Mapping[type[errors.RequestError], grpc.StatusCode] = {
    errors.MalformedError: grpc.StatusCode.INVALID_ARGUMENT,
    errors.TooDeepError: grpc.StatusCode.INVALID_ARGUMENT,
    errors.UnauthorisedError: grpc.StatusCode.UNAUTHENTICATED,
    errors.ForbiddenError: grpc.StatusCode.PERMISSION_DENIED,
    errors.UnknownModelError: grpc.StatusCode.NOT_FOUND,
    errors.UnknownServiceError: grpc.StatusCode.NOT_FOUND,
    errors.NoSimulatorError: grpc.StatusCode.NOT_FOUND,
    errors.BodyTooLargeError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.UnsupportedMediaError: grpc.StatusCode.INVALID_ARGUMENT,
    errors.WrongInputError: grpc.StatusCode.INVALID_ARGUMENT,
    errors.WrongFieldError: grpc.StatusCode.INVALID_ARGUMENT,
    # Nothing is wrong with the request as such: another machine, or budget, could do it.
    errors.BudgetError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.UnusableModelError: grpc.StatusCode.FAILED_PRECONDITION,
    errors.ShedError: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.NotReadyError: grpc.StatusCode.UNAVAILABLE,
    errors.DeadlineError: grpc.StatusCode.DEADLINE_EXCEEDED,
}
_LONGEST_MESSAGE = 1000
_MOST_FACTS = 4096  # clients take 8 KiB of metadata unless told otherwise


def code_of(error: errors.RequestError) -> grpc.StatusCode:
    """Look an error up, its own class before those it derives from."""
    return next((CODES[c] for c in type(error).__mro__ if c in CODES), grpc.StatusCode.INTERNAL)


def message_of(error: errors.RequestError) -> str:
    """Return the sentence for people, cut to what fits into metadata."""
    text = str(error)
    return text if len(text) <= _LONGEST_MESSAGE else text[: _LONGEST_MESSAGE - 1] + "…"


def metadata_of(error: errors.RequestError) -> Metadata:
    """Return what programs need to know.

    ``sentryfuse-problem-bin`` is the same JSON (RFC 9457) that HTTP would answer with; for errors
    that pass, ``grpc-retry-pushback-ms`` is what gRPC's own retries go by, and ``retry-after`` is
    the same in whole seconds.
    """
    facts = dict(error.facts)
    metadata: list[tuple[str, str | bytes]] = []
    if isinstance(error, errors.UnavailableError):
        metadata += [
            ("grpc-retry-pushback-ms", str(max(1, math.ceil(1e3 * error.retry_after_s)))),
            ("retry-after", str(max(1, math.ceil(error.retry_after_s)))),
        ]
        facts["retry_after_s"] = round(error.retry_after_s, 3)
    problem = problem_of(error)
    document, _ = render(problem, message_of(error), facts)
    if len(document) > _MOST_FACTS:
        document, _ = render(problem, message_of(error))
    return (*metadata, ("sentryfuse-problem-bin", document))

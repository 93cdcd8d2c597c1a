"""What a stream tells its client, as JSON."""

from __future__ import annotations

from typing import Any

import orjson

from app.answering.answer import Answer
from app.api.errors import problem_of
from app.api.stream.terms import Asked, StreamTerms
from app.errors import (
    BudgetError,
    DeadlineError,
    NotReadyError,
    RequestError,
    ShedError,
    UnavailableError,
    UnknownModelError,
)
from app.protocol.render import answer_json
from app.streaming.windower import Missed, Window


def opened(asked: Asked, terms: StreamTerms, window_s: float) -> bytes:
    """The first message: what was agreed."""
    return orjson.dumps(
        {
            "open": {
                "id": terms.id,
                "model": asked.name,
                "version": asked.served,
                "window_s": window_s,
                "hop_s": terms.hop_s,
                "sensors": [
                    {
                        "name": m.name,
                        "channels": m.channels,
                        "length": m.length,
                        "rate_hz": m.rate_hz,
                        "silence_s": terms.silence_s.get(m.name),
                    }
                    for m in asked.spec.modalities
                ],
            }
        }
    )


def answered(window: Window, answer: Answer) -> bytes:
    """The answer to a window."""
    return orjson.dumps({**_head(window), **answer_json(answer)})


def skipped(window: Window, reason: str, error: RequestError) -> bytes:
    """A window that gets no answer, and why."""
    content = {**_head(window), "skipped": reason, "detail": str(error)}
    if isinstance(error, UnavailableError):
        content["retry_after_s"] = round(error.retry_after_s, 3)
    return orjson.dumps(content)


def missed(gone: Missed) -> bytes:
    """Windows that were never asked about."""
    return orjson.dumps({"window": gone.first, "through": gone.last, "skipped": gone.reason})


def wrong(error: RequestError) -> bytes:
    """What is wrong with a message; nothing of it was taken."""
    problem = problem_of(error)
    content: dict[str, Any] = {
        "type": problem.type,
        "title": problem.title,
        "status": problem.status,
        "detail": str(error),
        **error.facts,
    }
    if isinstance(error, UnavailableError):
        content["retry_after_s"] = round(error.retry_after_s, 3)
    return orjson.dumps({"error": content})


def reason_of(error: RequestError) -> str:
    """Why a window was not answered, from a closed set."""
    match error:
        case ShedError():
            return error.reason
        case DeadlineError():
            return "deadline"
        case BudgetError():
            return "impossible"
        case NotReadyError():
            return "not_ready"
        case UnknownModelError():
            return "unloaded"
    return "refused"


def _head(window: Window) -> dict[str, Any]:
    return {
        "window": window.number,
        "from": round(window.start_s, 6),
        "to": round(window.end_s, 6),
        "present": [*window.rows],
    }

"""Log records as JSON lines, each with the request it belongs to."""

from __future__ import annotations

import logging
import sys
import threading
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TextIO

import orjson


@dataclass(frozen=True, slots=True)
class RequestContext:
    """What ties a log record to its request."""

    request_id: str
    traceparent: str | None = None
    """As the caller sent it (W3C Trace Context)."""


logger = logging.getLogger(__name__)

current_request: ContextVar[RequestContext | None] = ContextVar("current_request", default=None)


class JsonFormatter(logging.Formatter):
    """Writes a record as one JSON object; ``extra={"facts": {...}}`` adds members."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if (request := current_request.get()) is not None:
            line["request_id"] = request.request_id
            if request.traceparent is not None:
                line["traceparent"] = request.traceparent
        facts = getattr(record, "facts", None)
        if isinstance(facts, dict):
            line.update(facts)
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        try:
            return orjson.dumps(line, default=str).decode()
        except TypeError:  # text that is not Unicode, from a client
            return orjson.dumps({key: ascii(value) for key, value in line.items()}).decode()


def configure_logging(level: str, stream: TextIO | None = None) -> None:
    """Send every log record of this process to ``stream`` (standard error) as JSON lines."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonFormatter())
    root = logging.getLogger()
    for old in tuple(root.handlers):
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())


def log_what_escapes() -> None:
    """Have warnings, and what ends a thread, logged like everything else in this process."""
    logging.captureWarnings(True)
    threading.excepthook = _log_uncaught


def _log_uncaught(fault: threading.ExceptHookArgs) -> None:
    """Write what ended a thread as a line like any other."""
    if fault.exc_value is None:  # the interpreter is ending
        return
    name = fault.thread.name if fault.thread is not None else "unknown"
    trace = (fault.exc_type, fault.exc_value, fault.exc_traceback)
    logger.error("thread %s ended", name, exc_info=trace)

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest

from app.telemetry.logs import JsonFormatter, RequestContext, configure_logging, current_request


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    """Everything logged, with the logging of the tests put back afterwards."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    written = io.StringIO()
    configure_logging("info", written)
    yield written
    root.handlers[:] = handlers
    root.setLevel(level)


def last(stream: io.StringIO) -> dict[str, object]:
    line: dict[str, object] = json.loads(stream.getvalue().splitlines()[-1])
    return line


def test_a_record_is_one_json_object(stream: io.StringIO) -> None:
    logging.getLogger("here").info("built %s\nquickly", "it", extra={"facts": {"count": 3}})
    line = last(stream)
    assert line["message"] == "built it\nquickly"
    assert (line["level"], line["logger"], line["count"]) == ("info", "here", 3)
    assert str(line["time"]).endswith("+00:00")


def test_a_record_knows_its_request(stream: io.StringIO) -> None:
    token = current_request.set(RequestContext("r-1", "00-ab-cd-01"))
    logging.getLogger("here").warning("slow")
    current_request.reset(token)
    assert (last(stream)["request_id"], last(stream)["traceparent"]) == ("r-1", "00-ab-cd-01")
    logging.getLogger("here").warning("alone")
    assert "request_id" not in last(stream)


def test_a_traceback_stays_on_its_line(stream: io.StringIO) -> None:
    try:
        raise ValueError("odd")
    except ValueError:
        logging.getLogger("here").exception("failed")
    assert "ValueError: odd" in str(last(stream)["traceback"])


def test_text_that_is_not_unicode_is_written_all_the_same() -> None:
    # Not through a logger: what pytest captures of it goes between processes as UTF-8.
    record = logging.makeLogRecord({"msg": "got %s", "args": ("\ud800",)})
    assert "ud800" in json.loads(JsonFormatter().format(record))["message"]


def test_less_severe_records_are_left_out(stream: io.StringIO) -> None:
    logging.getLogger("here").debug("detail")
    assert stream.getvalue() == ""

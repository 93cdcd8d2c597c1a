from __future__ import annotations

import io
import json
import logging
import threading
import warnings
from collections.abc import Iterator

import pytest

from app.telemetry.logs import configure_logging, log_what_escapes


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What a process with our logging writes; everything is as before afterwards."""
    root, hook = logging.getLogger(), threading.excepthook
    handlers, level = root.handlers[:], root.level
    written = io.StringIO()
    configure_logging("info", written)
    log_what_escapes()
    yield written
    logging.captureWarnings(False)
    threading.excepthook = hook
    root.handlers[:] = handlers
    root.setLevel(level)


def test_what_ends_a_thread_is_a_line_of_json(log: io.StringIO) -> None:
    def fail() -> None:
        raise OSError("gone")

    thread = threading.Thread(target=fail, name="builder")
    thread.start()
    thread.join()
    line = json.loads(log.getvalue())
    assert (line["level"], line["message"]) == ("error", "thread builder ended")
    assert "OSError: gone" in line["traceback"]


def test_a_warning_is_a_line_of_json(log: io.StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old", DeprecationWarning, stacklevel=1)
    assert "DeprecationWarning: old" in json.loads(log.getvalue())["message"]

"""Requests and answers of the native API."""

from __future__ import annotations

import orjson

from app.answering.answer import Answer
from app.api.body import RawHeaders, check_is_json
from app.api.infer import Question, Written
from app.api.readers import WindowReaders
from app.inference.model import ServedModel
from app.protocol.budgets import BudgetRequest
from app.protocol.render import answer_json, predictions_json

_JSON = ((b"content-type", b"application/json"),)


class NativeDialect:
    """JSON of our own (DESIGN 5.1).

    Args:
        readers: Read the windows.
    """

    def __init__(self, readers: WindowReaders) -> None:
        self._readers = readers

    def check(self, headers: RawHeaders) -> None:
        """Refuse a body that is not JSON."""
        check_is_json(headers)

    def read(
        self, model: ServedModel, headers: RawHeaders, body: bytes, wanted: BudgetRequest
    ) -> Question:
        """Read windows and id."""
        write = _write_minimal if wanted.minimal else _write
        return Question(self._readers.of(model).read(body), wanted, write)


def _write(answer: Answer) -> Written:
    return Written(orjson.dumps(answer_json(answer)), _JSON)


def _write_minimal(answer: Answer) -> Written:
    return Written(orjson.dumps(predictions_json(answer)), _JSON)

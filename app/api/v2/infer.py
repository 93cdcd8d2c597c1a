"""Inference requests and answers in the Open Inference Protocol."""

from __future__ import annotations

import re
from functools import partial

from app.answering.answer import Answer
from app.api.body import RawHeaders
from app.api.infer import Question, Written
from app.api.v2.decoding import LENGTH_HEADER, Decoder
from app.api.v2.encoding import encode
from app.api.v2.forms import Forms
from app.errors import HeaderError, UnsupportedMediaError
from app.inference.model import ServedModel
from app.inference.windows import Windows
from app.protocol.budgets import BudgetRequest, with_parameters
from app.protocol.outputs import check_outputs, infer_response
from app.protocol.tensor_reader import TensorReader
from app.protocol.tensors import InferRequest

_LENGTH = LENGTH_HEADER.lower().encode()
_DIGITS = re.compile(rb"[0-9]{1,15}")
_JSON = (b"content-type", b"application/json")
_BINARY = (b"content-type", b"application/octet-stream")
# Its clients say octet-stream, or nothing, even of plain JSON.
_MEDIA_TYPES = (b"", b"application/json", b"application/octet-stream")


class OpenDialect:
    """JSON and the binary tensor extension (DESIGN 5.2).

    Args:
        max_batch: Most windows in one request.
    """

    def __init__(self, *, max_batch: int) -> None:
        self._max_batch = max_batch
        self._decoder = Decoder()
        self._forms = Forms()

    def check(self, headers: RawHeaders) -> None:
        """Refuse a body that says it is something else than JSON or bytes."""
        sent = next((value for name, value in headers if name == b"content-type"), b"")
        if sent.partition(b";")[0].strip().lower() not in _MEDIA_TYPES:
            expected, received = "application/json or application/octet-stream", sent[:80]
            raise UnsupportedMediaError(
                f"Content-Type must be {expected}, got {received.decode('latin-1')!r}",
                expected=expected,
                received=received.decode("latin-1"),
            )
        _header_length(headers)

    def read(
        self, model: ServedModel, headers: RawHeaders, body: bytes, wanted: BudgetRequest
    ) -> Question:
        """Read tensors and parameters."""
        length = _header_length(headers)
        known = None
        if length and length <= len(body):
            # A copy of its own, so that numbers do not start wherever the text happens to end.
            text, tail = body[:length], body[length:]
            known = self._forms.read(model, text, tail)
        if known is None:
            request, windows = self._read(model, length, body)
            if length:
                self._forms.remember(model, text, tail, request, windows)
        else:
            request, windows = known
        return Question(
            windows,
            with_parameters(wanted, request.parameters),
            partial(_write, request, minimal=wanted.minimal),
        )

    def _read(
        self, model: ServedModel, length: int | None, body: bytes
    ) -> tuple[InferRequest, Windows]:
        request = self._decoder.decode(body, length, model.spec)
        check_outputs(request.outputs, classes=model.spec.num_classes)
        return request, TensorReader(model.spec, max_batch=self._max_batch).read(request)


def _header_length(headers: RawHeaders) -> int | None:
    """Read how much of the body is JSON; None if all of it.

    Raises:
        HeaderError: It was sent, but is no length.
    """
    sent = [value for name, value in headers if name == _LENGTH]
    if not sent:
        return None
    if len(sent) > 1 or not _DIGITS.fullmatch(sent[0]):
        received = b", ".join(sent)[:40].decode("latin-1")
        raise HeaderError(
            f"{LENGTH_HEADER} must be a whole number of bytes, got {received!r}",
            header=LENGTH_HEADER,
            expected="a whole number",
            received=received,
        )
    return int(sent[0])


def _write(request: InferRequest, answer: Answer, *, minimal: bool) -> Written:
    response = infer_response(answer, request.outputs, minimal=minimal)
    content, header_length = encode(response, request)
    if header_length is None:
        return Written(content, (_JSON,))
    return Written(content, (_BINARY, (_LENGTH, str(header_length).encode())))

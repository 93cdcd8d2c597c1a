from __future__ import annotations

import pytest

from app.api.context import identify

TRACE = b"0af7651916cd43dd8448eb211c80319c"
SPAN = b"b7ad6b7169203331"


def trace_of(value: bytes) -> str | None:
    return identify([(b"traceparent", value)]).traceparent


def test_a_well_formed_traceparent_is_kept() -> None:
    assert trace_of(b"00-%s-%s-01" % (TRACE, SPAN)) == f"00-{TRACE.decode()}-{SPAN.decode()}-01"


def test_of_a_later_version_what_is_known_is_kept() -> None:
    kept = trace_of(b"01-%s-%s-01-more" % (TRACE, SPAN))
    assert kept == f"01-{TRACE.decode()}-{SPAN.decode()}-01"


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"00-%s-%s" % (TRACE, SPAN),
        b"ff-%s-%s-01" % (TRACE, SPAN),
        b"00-%s-%s-01" % (b"0" * 32, SPAN),
        b"00-%s-%s-01" % (TRACE, b"0" * 16),
        b"00-%s-%s-01" % (TRACE.upper(), SPAN),
        b"00-%s-%s-01" % (TRACE[1:], SPAN),
        b"00-%s-%s-01\r\nX-Evil: 1" % (TRACE, SPAN),
    ],
)
def test_one_that_is_not_counts_as_none(value: bytes) -> None:
    assert trace_of(value) is None

"""What a stream asks for when it is opened."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.api.stream.terms import StreamTerms, read_terms
from app.errors import HeaderError, MalformedError, RequestError, WrongFieldError
from sentryfuse.spec import ModelSpec
from tests.bundles import small_spec

SPEC = small_spec(((25, 1), (50, 2)))


def read(query: bytes = b"", *headers: tuple[bytes, bytes], spec: ModelSpec = SPEC) -> StreamTerms:
    return read_terms(query, headers, spec)


def test_windows_follow_each_other_without_overlap_unless_a_hop_is_given() -> None:
    assert read().hop_s == 2.0
    assert read(b"hop_s=0.25").hop_s == 0.25


def test_a_slow_sensor_may_be_silent_for_two_samples() -> None:
    slow = replace(SPEC.modalities[0], rate_hz=0.1)
    spec = replace(SPEC, modalities=(slow, SPEC.modalities[1]))
    assert read(spec=spec).silence_s == {"sensor_0": 20.0, "sensor_1": 2.0}
    given = read(b"silence_s=5&silence_s.sensor_1=1", spec=spec).silence_s
    assert given == {"sensor_0": 5.0, "sensor_1": 1.0}


def test_budgets_come_from_query_and_headers_and_the_stricter_counts() -> None:
    terms = read(
        b"latency_budget_ms=20&accuracy_floor=0.5&handling=strict&cascade=0.8",
        (b"x-latency-budget-ms", b"10"),
        (b"x-accuracy-floor", b"0.3"),
    )
    budget = terms.wanted.budget
    assert (budget.latency_s, budget.accuracy_floor, budget.strict) == (0.01, 0.5, True)
    assert terms.wanted.cascade == 0.8


def test_a_proxy_s_limit_on_the_handshake_is_no_budget_of_a_window() -> None:
    terms = read(b"", (b"x-envoy-expected-rq-timeout-ms", b"10"), (b"grpc-timeout", b"1S"))
    assert terms.wanted.budget.latency_s is None


@pytest.mark.parametrize(
    ("query", "error"),
    [
        (b"hop_s=1&hop_s=2", WrongFieldError),
        (b"hop_s=-inf", WrongFieldError),
        (b"silence_s=61", WrongFieldError),
        (b"silence_s.sensor_0=0", WrongFieldError),
        (b"timeout=1", WrongFieldError),
        (b"handling=maybe", WrongFieldError),
        (b"energy=most", WrongFieldError),
        (b"&&", MalformedError),
        (b"hop_s", MalformedError),
        (b"id=%ff", MalformedError),
        (b"\xff=1", MalformedError),
        (b"&".join(b"a%d=1" % i for i in range(70)), MalformedError),
    ],
)
def test_a_query_that_makes_no_sense_is_refused(query: bytes, error: type[RequestError]) -> None:
    with pytest.raises(error):
        read(query)


def test_a_budget_header_that_does_not_parse_is_refused() -> None:
    with pytest.raises(HeaderError, match="X-Energy-Budget-mJ"):
        read(b"", (b"x-energy-budget-mj", b"much"))


def test_a_model_whose_values_have_no_time_can_not_be_streamed_to() -> None:
    still = tuple(replace(m, rate_hz=0.0) for m in SPEC.modalities)
    with pytest.raises(WrongFieldError, match="no sensor with a rate"):
        read(spec=replace(SPEC, modalities=still))

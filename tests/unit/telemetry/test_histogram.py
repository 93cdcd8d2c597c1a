from __future__ import annotations

import prometheus_client
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest

from app.telemetry.histogram import Histogram

BOUNDS = (0.001, 0.01, 0.5, 1, 2.5)
LABELS = ("route", "code")


@given(
    st.lists(
        st.tuples(st.sampled_from(["a", 'quo"ted']), st.sampled_from(BOUNDS) | st.floats(0.0, 5.0)),
        max_size=30,
    )
)
def test_it_is_written_as_the_client_librarys_histogram_is(seen: list[tuple[str, float]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    plain = Histogram("seconds", "Time", LABELS, bounds=BOUNDS, registry=ours)
    library = prometheus_client.Histogram(
        "seconds", "Time", LABELS, buckets=BOUNDS, registry=theirs
    )
    for route, value in seen:
        plain.labels(route, "200").observe(value)
        library.labels(route, "200").observe(value)
    lines = generate_latest(theirs).decode().splitlines()
    kept = [line for line in lines if "seconds_created" not in line]
    assert generate_latest(ours).decode().splitlines() == kept

"""The comparison with other servers: the search for the rate, the figures, the turns' order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.peers.bodies import v2_answer, v2_binary
from benchmarks.peers.report import accuracy_change, best_peer, fill, table
from benchmarks.peers.rounds import in_turn
from benchmarks.peers.search import STEP, highest_rate
from benchmarks.peers.systems import SYSTEMS
from benchmarks.peers.systems.ours import FLOOR
from benchmarks.peers.turn import arrivals, same_answer
from loadtests.exchange import response_length
from sentryfuse.bench import Record
from sentryfuse.bundle import read_bundle


def turns(**quantities: list[float]) -> list[dict[str, object]]:
    """One entry for each turn, with the same figures for what is not given."""
    count = len(next(iter(quantities.values())))
    usual = dict.fromkeys(
        (
            "one_p50_s",
            "one_p99_s",
            "one_cpu_s",
            "saturated_cpu_s",
            "client_cpu_s",
            "ready_s",
            "pss_bytes",
        ),
        1.0,
    )
    usual |= {"kept_hz": 100.0, "saturated_hz": 200.0, "idle_core_ratio": 0.01}
    return [
        {**usual, **{name: values[i] for name, values in quantities.items()}} for i in range(count)
    ]


@given(limit_hz=st.floats(1, 3000), least_hz=st.floats(10, 100), factor=st.floats(1, 12))
def test_the_rate_found_is_kept_and_the_next_one_is_not(
    limit_hz: float, least_hz: float, factor: float
) -> None:
    tried: list[float] = []

    def keeps(rate_hz: float) -> bool:
        tried.append(rate_hz)
        return rate_hz <= limit_hz

    most_hz = factor * least_hz
    found_hz = highest_rate(keeps, least_hz=least_hz, most_hz=most_hz)
    assert found_hz <= limit_hz
    next_hz = found_hz * STEP if found_hz else least_hz
    assert next_hz > min(limit_hz, most_hz) * (1 - 1e-9)
    assert len(tried) <= 5
    assert max(tried) <= most_hz * (1 + 1e-9)


def test_rates_that_make_no_range_are_refused() -> None:
    with pytest.raises(ValueError, match="got 3 and 2"):
        highest_rate(lambda _: True, least_hz=3, most_hz=2)


def test_arrivals_are_as_many_as_the_rate_says_and_the_same_for_everybody() -> None:
    shots = arrivals(50, 2.0, 8, seed=1)
    assert len(shots) == 100
    assert [s.at_s for s in shots] == sorted(s.at_s for s in shots)
    assert 0 <= shots[0].at_s <= shots[-1].at_s < 2
    assert {s.message for s in shots} == set(range(8))
    assert shots == arrivals(50, 2.0, 8, seed=1) != arrivals(50, 2.0, 8, seed=2)


def test_logits_probabilities_and_the_best_class_are_the_same_answer() -> None:
    logits = np.array([0.5, 3.0, -1.0], "f4")
    odds = np.exp(logits) / np.exp(logits).sum()
    assert same_answer(logits, logits)
    assert same_answer(odds, logits)
    assert same_answer(np.array([1, odds[1]], "f4"), logits)
    assert not same_answer(odds[::-1], logits)
    assert not same_answer(np.array([0, odds[1]], "f4"), logits)


def test_ours_is_set_beside_the_peer_that_is_best_in_that_figure() -> None:
    found = {
        "loop": turns(saturated_hz=[500.0, 500.0, 400.0], one_p50_s=[0.1, 0.1, 0.2]),
        "ours": turns(kept_hz=[90.0, 120.0, 100.0], one_p50_s=[0.5, 0.4, 0.5]),
        "ours-free": [{**t, "ratios": {"000": 1, "900": 3}} for t in turns(kept_hz=[400.0] * 3)],
        "ours-frugal": [
            {**t, "ratios": {"900": 3}} for t in turns(saturated_cpu_s=[0.2, 0.3, 0.4])
        ],
        "quick": turns(kept_hz=[100.0, 100.0, 200.0], one_p50_s=[1.0, 1.0, 1.0]),
        "small": turns(kept_hz=[50.0, 0.0, 70.0], pss_bytes=[0.5, 0.5, 0.5]),
    }
    record = Record("peers", "?")
    fill(record, found, {"000": 0.9, "900": 0.7}, cores=2)
    figures = record.figures
    assert best_peer(found, "kept_hz", more_is_better=True) == "quick"
    assert figures["peer_throughput_ratio"]["value"] == pytest.approx(0.9)
    assert figures["peer_throughput_ratio"]["spread"] == {"min": 0.5, "max": 1.2, "n": 3}
    assert figures["peer_deadline_throughput_ratio"]["value"] == pytest.approx(4)
    assert figures["peer_memory_ratio"]["value"] == pytest.approx(2)  # beside "small"
    assert figures["peer_p50_ratio"]["value"] == pytest.approx(0.5)
    assert figures["saturated_over_loop"]["value"] == pytest.approx(0.4)
    # Two cores, a second of inference and one of the client: one answer a second.
    assert figures["saturated_over_loop_if_free"]["value"] == pytest.approx(1 / 500)
    assert figures["overhead_binary_seconds"]["value"] == pytest.approx(0.3)
    assert "overhead_json_seconds" not in figures
    assert figures["peer_deadline_accuracy_change"]["value"] == pytest.approx(-0.15)
    assert figures["peer_cpu_seconds_ratio"]["value"] == pytest.approx(0.3)
    assert figures["peer_dense_cpu_seconds_ratio"]["value"] == pytest.approx(1)
    assert figures["peer_frugal_accuracy_change"]["value"] == pytest.approx(-0.2)
    headings, rows = table(found, {"ours": "Ours"})
    assert {len(row) for row in rows} == {len(headings)}
    assert [row[0] for row in rows][:2] == ["bare session loop", "Ours"]


def test_a_turn_without_any_answer_in_time_makes_no_ratio() -> None:
    found = {
        "loop": turns(saturated_hz=[500.0, 500.0]),
        "ours": turns(kept_hz=[90.0, 120.0]),
        "slow": turns(kept_hz=[0.0, 60.0]),
    }
    record = Record("peers", "?")
    fill(record, found, {}, cores=2)
    assert record.figures["peer_throughput_ratio"]["value"] == 2
    assert record.figures["peer_throughput_ratio"]["spread"]["n"] == 1


def test_a_service_that_answered_nothing_in_time_changed_no_accuracy() -> None:
    assert accuracy_change({}, {"000": 0.9}) == 0


def test_the_floor_is_a_point_below_the_shipped_dense_variant() -> None:
    bundle = read_bundle(Path(__file__).parents[3] / "models/dsads-maestro/1")
    dense = bundle.accuracy.expected(bundle.spec.full_presence, 0)
    assert dense - 0.01 <= FLOOR <= dense


def test_every_system_has_another_place_in_each_turn() -> None:
    peers = list(SYSTEMS.values())
    orders = [in_turn(peers, turn) for turn in range(3)]
    assert all(sorted(p.name for p in order) == sorted(SYSTEMS) for order in orders)
    for peer in peers:
        assert len({order.index(peer) for order in orders}) > 1


@pytest.mark.parametrize("name", SYSTEMS)
def test_a_request_is_whole_http(name: str) -> None:
    window = {n: np.zeros((125, 9), "f4") for n in ("torso", "left_leg")}
    message = SYSTEMS[name].message(window)
    assert message.startswith(b"POST /")
    assert response_length(message) == len(message)


def test_a_binary_tensor_is_read_as_it_was_written() -> None:
    window = {"logits": np.arange(6, dtype="f4").reshape(2, 3)}
    head, _, body = v2_binary("/", window, "logits").partition(b"\r\n\r\n")
    headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n")[1:])
    read = v2_answer({k.lower(): v for k, v in headers.items()}, body)
    np.testing.assert_array_equal(read, np.arange(6))

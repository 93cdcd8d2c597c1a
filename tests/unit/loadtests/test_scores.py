"""Figures of a run's outcomes."""

from __future__ import annotations

from loadtests.outcome import Outcome
from loadtests.scenarios.profile import recovery_requests
from loadtests.score import by_second, by_window, score, tally
from loadtests.watch import watched_metrics


def answered(at_s: float, *, total_s: float = 0.004, met: bool = True, felt_s: float = 0.005):
    return Outcome(
        scheduled_s=at_s,
        sent_s=at_s + 0.0001,
        first_byte_s=at_s + felt_s,
        status=200,
        budget_met=met,
        variant="1f-500",
        expected_accuracy=0.8,
        energy_j=0.01,
        stages_s={"total": total_s},
    )


OUTCOMES = (
    answered(0.1),
    answered(0.2, met=False, total_s=0.03, felt_s=0.031),
    Outcome(scheduled_s=0.3, sent_s=0.3, status=429, error="shed"),
    Outcome(scheduled_s=1.1, sent_s=1.1, status=504, error="deadline"),
    Outcome(scheduled_s=1.2, sent_s=1.2, error="connection lost"),
)


def test_what_is_not_in_time_counts_as_wrong() -> None:
    found = score(OUTCOMES, 0.025)
    assert (found.sent, found.in_time, found.late) == (5, 1, 1)
    assert (found.shed, found.dropped, found.failed) == (1, 1, 1)
    assert found.attainment == found.attainment_client == 0.2
    assert found.serving_accuracy == 0.8
    assert found.effective_accuracy == 0.8 / 5


def test_the_clients_clock_counts_the_way_there_and_back() -> None:
    (slow_network,) = [answered(0.0, felt_s=0.026)]
    found = score([slow_network], 0.025)
    assert (found.attainment, found.attainment_client) == (1.0, 0.0)


def test_nothing_answered_is_a_score_of_nothing() -> None:
    found = score(OUTCOMES[2:], 0.025)
    assert (found.attainment, found.effective_accuracy, found.latency_p99_s) == (0.0, 0.0, 0.0)


def test_seconds_count_requests_by_when_they_were_due() -> None:
    series = by_second(OUTCOMES, 3.0)
    assert series["sent"] == [3, 2, 0]
    assert series["in_time"] == [1, 0, 0]
    assert series["not_run"] == [1, 1, 0]
    assert series["latency_max_s"] == [0.03, 0.0, 0.0]


def test_windows_leave_out_what_does_not_fill_one() -> None:
    assert by_window(OUTCOMES, 2) == [0.5, 0.0]


def test_ratios_and_errors_are_counted() -> None:
    found = tally(OUTCOMES)
    assert found["ratios"] == {"500": 2}
    assert found["errors"] == {"shed": 1, "deadline": 1, "connection lost": 1}


def test_recovery_is_the_first_window_from_which_all_is_as_with_a_right_profile() -> None:
    right = [0.99, 1.0, 1.0, 0.98]
    assert recovery_requests([0.98, 1.0, 0.99, 0.98], right) == 0
    assert recovery_requests([0.80, 0.999, 1.0, 0.97], right) == 50
    assert recovery_requests([1.0, 0.9, 0.9, 0.98], right) == 150
    assert recovery_requests([0.5, 0.5, 0.5, 0.5], right) == 200


def test_chosen_metrics_are_read_with_their_labels() -> None:
    text = (
        "# TYPE sentryfuse_queue_depth gauge\n"
        "sentryfuse_queue_depth 3.0\n"
        'sentryfuse_shed_total{reason="busy"} 2.0\n'
        'sentryfuse_variant_flops{model="m"} 1e9\n'
    )
    assert watched_metrics(text) == {
        "sentryfuse_queue_depth": 3.0,
        'sentryfuse_shed_total{reason="busy"}': 2.0,
    }

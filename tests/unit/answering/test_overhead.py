from __future__ import annotations

import pytest

from app.answering.overhead import CoreOverhead, Overhead


def test_an_overhead_settles_on_what_is_seen() -> None:
    overhead = Overhead()
    for _ in range(60):
        overhead = overhead.updated(0.002)
    assert overhead.mean_s == pytest.approx(0.002, rel=0.01)
    assert overhead.allowance_s == pytest.approx(0.002, rel=0.05)


def test_an_unsteady_overhead_sets_more_time_aside() -> None:
    calm, wild = Overhead(), Overhead()
    for turn in range(60):
        calm = calm.updated(0.002)
        wild = wild.updated(0.001 + 0.002 * (turn % 2))
    assert wild.allowance_s > calm.allowance_s + 0.0005


def test_one_hiccup_hardly_moves_the_estimate_and_a_lasting_change_does() -> None:
    calm = Overhead()
    for _ in range(60):
        calm = calm.updated(0.001)
    assert calm.updated(0.5).allowance_s < 0.002
    slow = calm
    for _ in range(40):
        slow = slow.updated(0.05)
    assert slow.mean_s == pytest.approx(0.05, rel=0.2)


def test_an_estimate_that_keeps_everybody_out_fades_to_the_first_guess_and_no_further() -> None:
    pessimistic = Overhead(mean_s=0.2, deviation_s=0.1)
    for _ in range(100):
        pessimistic = pessimistic.doubted()
    assert pessimistic.allowance_s == pytest.approx(Overhead().allowance_s, rel=0.1)
    assert Overhead(mean_s=0.0001).doubted().mean_s == 0.0001


def test_core_time_for_a_request_settles_on_what_busy_spans_show() -> None:
    overhead = CoreOverhead()
    for _ in range(40):
        overhead = overhead.updated(0.1, requests=100)
    assert overhead.mean_s == pytest.approx(0.001, rel=0.01)


def test_a_span_of_few_requests_says_nothing_about_one() -> None:
    assert CoreOverhead().updated(0.2, requests=2) == CoreOverhead()

"""Series of a played scenario, and its page."""

from __future__ import annotations

import json
import re

import pytest

from loadtests.outcome import Outcome
from loadtests.play.page import page
from loadtests.play.pictures import draw
from loadtests.play.series import bin_seconds, distribution, fate, in_time, mix


def answered(at_s: float, variant: str = "1f-500", *, met: bool = True) -> Outcome:
    return Outcome(scheduled_s=at_s, status=200, variant=variant, budget_met=met)


def test_a_fate_is_a_ratio_or_why_there_is_none() -> None:
    assert fate(answered(0.0, "1f-000")) == "000"
    by_status = {429: "refused", 504: "dropped", 503: "failed", 0: "failed"}
    for status, expected in by_status.items():
        assert fate(Outcome(scheduled_s=0.0, status=status)) == expected


def test_requests_count_in_the_bin_in_which_they_were_due() -> None:
    outcomes = [
        answered(0.1),
        answered(0.4, "1f-900", met=False),
        answered(0.6),
        Outcome(scheduled_s=0.9, status=429),
    ]
    assert mix(outcomes, 1.5) == {"500": [1, 1, 0], "900": [1, 0, 0], "refused": [0, 1, 0]}
    assert in_time(outcomes, 1.5) == [0.5, 0.5, None]


def test_long_runs_have_no_more_than_sixty_bins() -> None:
    assert bin_seconds(10.0) == 0.5
    assert bin_seconds(600.0) == 10.0


def test_a_distribution_is_of_all_that_was_sent_and_so_never_reaches_one_with_refusals() -> None:
    points = distribution([0.1, 0.2, 0.3, 0.4], sent=8)
    assert points[0] == (0.1, 0.0)
    assert points[-1] == (0.4, 0.5)
    assert [share for _, share in points] == sorted(share for _, share in points)
    assert distribution([], sent=8) == []


FOUND = {
    "duration_s": 1.0,
    "deadline_s": 0.05,
    "bin_s": 0.5,
    "mix": {"500": [3, 2], "refused": [0, 1]},
    "in_time": [1.0, None],
    "client_latency": [(0.001, 0.0), (0.02, 0.8)],
    "server_latency": [(0.001, 0.0), (0.01, 0.8)],
    "refusal_latency": [(0.001, 0.2)],
    "power_w": [4.0, 5.0],
    "idle_w": 3.0,
    "caps": [(0.0, None), (0.5, 4.5)],
    "sensors": [5.0, 4.0],
    "models": {"a": {"sent": 4, "in_time": 1.0}, "b": {"sent": 2, "in_time": 0.5}},
}


def test_every_panel_is_drawn_and_the_same_data_gives_the_same_picture() -> None:
    picture = draw(FOUND)
    for words in ("Latency", "What answered", "Power", "In time, of all", "Sensors", "by model"):
        assert words in picture
    assert draw(FOUND) == picture
    plain = draw({**FOUND, "sensors": [5.0, 5.0], "models": {}})
    assert "Sensors" not in plain
    assert "by model" not in plain


def test_a_page_needs_nothing_else_and_keeps_its_record() -> None:
    record = {"about": "</script><b>", "score": 0.5}
    written = page("a & b", "<i>x</i>", {"sent": "3 < 4"}, draw(FOUND), "[arrivals]", record)
    assert not re.search(r"<(?:script|link|img)[^>]*(?:src|href)=", written)
    assert "a &amp; b" in written
    assert "3 &lt; 4" in written
    assert "<i>x</i>" not in written
    found = re.search(r'id="record">(.*?)</script>', written, re.DOTALL)
    assert found is not None
    assert json.loads(found[1]) == record


@pytest.mark.parametrize("empty", ["client_latency", "server_latency", "power_w"])
def test_a_run_in_which_nothing_was_answered_still_has_a_picture(empty: str) -> None:
    assert "Latency" in draw({**FOUND, empty: []})

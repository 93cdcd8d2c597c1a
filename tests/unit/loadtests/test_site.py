from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from loadtests.redis_server import RedisServer
from loadtests.scenarios.site import NODES, plan, powers, window_means
from loadtests.site_load import rate_of
from loadtests.site_nodes import Node, Weight


def test_power_is_idle_power_and_cpu_time_at_its_price() -> None:
    weights = [Weight(10 + t / 10, (t / 20, 0.0)) for t in range(101)]  # half a core, and none
    power_w = powers(weights, watts_per_core=4.0, idle_w=1.0)
    assert power_w[0] == pytest.approx(np.full(power_w.shape[1], 3.0))
    assert power_w[1] == pytest.approx(np.full(power_w.shape[1], 1.0))


def test_a_burst_counts_in_every_window_that_it_lies_in() -> None:
    power_w = np.ones(200)
    power_w[100:110] = 6.0  # a second
    means_w = window_means(power_w)
    assert len(means_w) == 151
    assert means_w.max() == pytest.approx(2.0)
    assert means_w[40] == pytest.approx(1.0)
    assert means_w[60] == pytest.approx(2.0)


def test_nodes_are_killed_in_turns_and_redis_comes_back() -> None:
    nodes = [Node(name, "ours", {}) for name in NODES]
    redis = RedisServer(Path("."), port=1)
    events = plan(nodes, redis, seconds=120.0, kill_every_s=10.0)
    killed = [what for _, what, _ in events if what.endswith("killed") and "Redis" not in what]
    assert killed == [f"{name} killed" for name in NODES] * 4
    whats = [what for _, what, _ in events]
    assert whats.index("Redis paused") < whats.index("Redis resumed")
    assert whats.index("Redis killed") < whats.index("Redis started")
    assert all(0 <= at_s < 120 for at_s, _, _ in events)


def test_the_load_has_a_rest_at_each_node_in_turn() -> None:
    resting = [[rate_of(i, 3, at_s, 100.0) < 50 for i in range(3)] for at_s in (1, 16, 31, 46)]
    assert resting == [
        [True, False, False],
        [False, True, False],
        [False, False, True],
        [True, False, False],
    ]

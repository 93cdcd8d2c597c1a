from __future__ import annotations

import math
from typing import Any

import pytest

from app.scheduling.fair_slack import View
from app.scheduling.types import Budget, Request
from sentryfuse.bench.policies.node import Node
from sentryfuse.bench.policies.rivals import (
    Alert,
    AlertEstimator,
    Fixed,
    MaxAcc,
    MaxBatch,
    MinCost,
    SlackFit,
    contender,
    policy_names,
)


def view(node: Node, *, waiting: int, slack_s: float, **changes: Any) -> View:
    menu = node.menu(3)
    facts: dict[str, Any] = {
        "request": Request(id=0, group=3, budget=Budget(latency_s=slack_s), received_s=0.0),
        "offers": menu.offers((1,) * waiting),
        "menu": menu,
        "slack_s": slack_s,
        "slowdown": 1.0,
        "margin": 0.0,
        "energy_factor": 1.0,
        "pace_s": math.inf,
        "allowance_j": math.inf,
        "idle_power_w": 3.0,
        "arrival_rate_hz": 1.0,
        "queued": waiting,
    }
    return View(**(facts | changes))


def chosen(policy: Any, shown: View) -> tuple[int, int] | None:
    """Ratio and batch."""
    offer = policy.choose(shown)
    return None if offer is None else (offer.option.permille, offer.requests)


def test_a_fixed_variant_takes_the_largest_batch_in_time(node: Node) -> None:
    assert chosen(Fixed(0), view(node, waiting=8, slack_s=0.013)) == (0, 3)
    assert chosen(Fixed(800), view(node, waiting=8, slack_s=0.013)) == (800, 8)
    assert chosen(Fixed(0), view(node, waiting=8, slack_s=0.003)) is None


def test_a_fixed_variant_believes_the_estimated_slowdown(node: Node) -> None:
    assert chosen(Fixed(0), view(node, waiting=8, slack_s=0.013, slowdown=2.0)) == (0, 1)


def test_infaas_always_takes_the_cheapest(node: Node) -> None:
    assert chosen(MinCost(), view(node, waiting=1, slack_s=1.0)) == (800, 1)
    assert chosen(MinCost(), view(node, waiting=16, slack_s=1.0)) == (800, 16)


def test_max_acc_puts_accuracy_first_and_max_batch_the_batch(node: Node) -> None:
    shown = view(node, waiting=8, slack_s=0.013)
    assert chosen(MaxAcc(), shown) == (0, 3)
    assert chosen(MaxBatch(), shown) == (800, 8)
    relaxed = view(node, waiting=8, slack_s=0.05)
    assert chosen(MaxAcc(), relaxed) == chosen(MaxBatch(), relaxed) == (0, 8)


def test_slackfit_climbs_from_large_batches_to_large_variants_with_slack(node: Node) -> None:
    assert chosen(SlackFit(), view(node, waiting=16, slack_s=0.0085))[0] == 800  # type: ignore[index]
    assert chosen(SlackFit(), view(node, waiting=16, slack_s=0.1)) == (0, 16)
    assert chosen(SlackFit(), view(node, waiting=1, slack_s=0.1)) == (0, 1)
    assert chosen(SlackFit(), view(node, waiting=1, slack_s=0.0005)) is None


def test_slackfit_takes_something_that_its_table_says_is_in_time(node: Node) -> None:
    for slack_ms in range(2, 70):
        offer = SlackFit().choose(view(node, waiting=16, slack_s=1e-3 * slack_ms))
        assert offer is not None
        assert offer.latency_s < 1e-3 * slack_ms


def test_only_corrected_slackfit_knows_of_the_slowdown(node: Node) -> None:
    shown = view(node, waiting=1, slack_s=0.04, slowdown=4.0)
    assert chosen(SlackFit(), shown) == (0, 1)
    assert chosen(SlackFit(corrected=True), shown) == (800, 1)


def test_alert_weighs_accuracy_by_the_chance_to_be_in_time(node: Node) -> None:
    policy = Alert(AlertEstimator())
    assert chosen(policy, view(node, waiting=4, slack_s=0.02)) == (0, 1)
    # The unpruned variant needs 4 ms and is in time half of the time.
    assert chosen(policy, view(node, waiting=4, slack_s=0.004)) == (800, 1)


def test_alert_keeps_its_energy_goal(node: Node) -> None:
    policy = Alert(AlertEstimator())
    assert chosen(policy, view(node, waiting=1, slack_s=0.02, allowance_j=0.01)) == (800, 1)


def test_alerts_filter_follows_a_machine_that_is_slower() -> None:
    estimator = AlertEstimator()
    for _ in range(10):
        estimator.observe(2.0, 1.0)
    assert estimator.latency.mean == pytest.approx(2.0, rel=0.01)
    assert estimator.energy.mean == pytest.approx(1.0)
    assert estimator.latency.sigma >= 0.3


def test_every_policy_can_be_made_by_its_name() -> None:
    names = policy_names([0, 800])
    assert [contender(name).policy.name for name in names] == list(names)
    assert {n for n in names if contender(n).policy.sheds} == {"fair-slack", "fair-price"}
    assert {n for n in names if not contender(n).policy.concedes} == {"fixed-0", "fixed-800"}

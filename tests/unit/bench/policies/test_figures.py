from __future__ import annotations

from fnmatch import fnmatch

import pytest

from sentryfuse.bench.policies.figures import DEFINITIONS, figures, pool
from sentryfuse.bench.policies.recovery import Recovery
from sentryfuse.bench.policies.score import Score
from sentryfuse.bench.policies.study import Results


def a_score(policy: str, trace: str, in_time: int, accuracy: float, seed: int = 0) -> Score:
    return Score(
        trace=trace,
        policy=policy,
        seed=seed,
        requests=1000,
        in_time=in_time,
        attainment=in_time / 1000,
        serving_accuracy=accuracy,
        effective_accuracy=accuracy * in_time / 1000,
        late_rate=0.0,
        drop_rate=0.0,
        shed_rate=0.0,
        request_energy_j=0.001,
        latency_p50_s=0.001,
        latency_p99_s=0.001,
        cap_seconds=0,
        cap_over_seconds=0,
    )


OURS = [a_score("fair-price", "poisson", 1000, 0.95), a_score("fair-price", "solar", 980, 0.93)]
FIXED = [
    a_score("fixed-0", "poisson", 800, 0.96),
    a_score("fixed-0", "solar", 600, 0.96),
    a_score("fixed-500", "poisson", 990, 0.94),
    a_score("fixed-500", "solar", 950, 0.94),
    a_score("fixed-900", "poisson", 1000, 0.90),
    a_score("fixed-900", "solar", 995, 0.90),
]
BOUNDS = {("poisson", 0): 0.96, ("solar", 0): 0.94}


def test_runs_are_pooled_request_by_request() -> None:
    pooled = pool("fair-price", OURS)
    assert pooled.misses == 20
    assert pooled.attainment == pytest.approx(0.99)
    assert pooled.serving_accuracy == pytest.approx((950 + 0.93 * 980) / 1980)


def test_points_are_over_the_best_variant_of_our_attainment() -> None:
    found = figures(Results((*OURS, *FIXED), BOUNDS))
    ours = (950 + 0.93 * 980) / 1980
    assert found["policy_points_over_fixed"].value == pytest.approx(100 * (ours - 0.90))
    assert found["policy_miss_ratio_over_fixed"].value == pytest.approx(600 / 20)
    assert found["attainment_simulated"].value == 1.0


def test_the_oracle_and_the_best_rival_stand_beside_ours() -> None:
    found = figures(Results((*OURS, *FIXED), BOUNDS))
    ours = (0.95 + 0.93 * 0.98) / 2
    assert found["policy_effective_accuracy"].value == pytest.approx(ours)
    assert found["policy_over_oracle"].value == pytest.approx(ours / 0.95)
    assert found["policy_lead"].value == pytest.approx(ours - 0.94 * (0.99 + 0.95) / 2)


def test_without_a_variant_as_accurate_the_most_accurate_one_is_compared() -> None:
    found = figures(Results((*OURS, *FIXED[4:]), BOUNDS))
    assert found["policy_miss_ratio_over_fixed"].value == pytest.approx(5 / 20)


def test_every_figure_of_the_runs_is_defined() -> None:
    for name in figures(Results((*OURS, *FIXED), BOUNDS)):
        assert any(fnmatch(name, pattern) for pattern in DEFINITIONS), name


def test_every_policy_has_its_row() -> None:
    found = figures(Results((*OURS, *FIXED), BOUNDS))
    assert found["simulated_effective_accuracy_fixed_0"].value == pytest.approx(0.96 * 0.7)
    assert found["simulated_effective_accuracy_oracle"].value == pytest.approx(0.95)
    assert found["simulated_attainment_fixed_500"].value == pytest.approx(0.97)
    assert found["simulated_serving_accuracy_fixed_900"].value == pytest.approx(0.90)
    assert found["simulated_request_energy_joules_fair_price"].value == pytest.approx(0.001)


def test_recovery_is_the_first_request_from_which_on_nothing_is_lost() -> None:
    right = (1.0,) * 6
    assert Recovery(1.5, (0.8, 0.9, 0.995, 0.98, 1.0, 1.0), right).requests == 4
    assert Recovery(1.5, (0.995,) * 6, right).requests == 0

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from app.scheduling import Slowdown


@given(ratios=st.lists(st.floats(1e-6, 1e6), max_size=100))
def test_the_factor_stays_positive_and_finite_whatever_is_observed(ratios: list[float]) -> None:
    estimate = Slowdown()
    for ratio in ratios:
        estimate = estimate.updated(ratio)
    assert 0 < estimate.mean < 1e6
    assert math.isfinite(estimate.sigma)


@given(factor=st.floats(0.5, 1.5))
def test_any_profile_half_wrong_is_corrected_within_two_dozen_updates(factor: float) -> None:
    estimate = Slowdown()
    for _ in range(24):
        estimate = estimate.updated(factor)
    assert math.isclose(estimate.mean, factor, rel_tol=0.01)

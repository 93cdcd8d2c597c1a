from hypothesis import given
from hypothesis import strategies as st

from sentryfuse.variants.cost_grid import CostGrid

sizes = st.integers(1, 10**9)
batches = st.integers(1, 64)
samples = st.lists(st.tuples(sizes, batches, st.floats(1e-6, 1e3)), min_size=1, max_size=20)


@given(samples=samples, points=st.tuples(sizes, sizes), batch=batches)
def test_cost_never_falls_with_more_flops(
    samples: list[tuple[int, int, float]], points: tuple[int, int], batch: int
) -> None:
    grid = CostGrid.fit(samples)

    less, more = sorted(points)

    assert grid.at(less, batch) <= grid.at(more, batch) * (1 + 1e-12)


@given(samples=samples, flops=sizes, pair=st.tuples(batches, batches))
def test_cost_never_falls_with_a_larger_batch(
    samples: list[tuple[int, int, float]], flops: int, pair: tuple[int, int]
) -> None:
    grid = CostGrid.fit(samples)

    smaller, larger = sorted(pair)

    assert grid.at(flops, smaller) <= grid.at(flops, larger) * (1 + 1e-12)


@given(samples=samples, flops=sizes, batch=batches)
def test_cost_is_positive(samples: list[tuple[int, int, float]], flops: int, batch: int) -> None:
    assert CostGrid.fit(samples).at(flops, batch) > 0


@given(costs=st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=8), batch=batches)
def test_measurements_that_rise_are_reproduced(costs: list[float], batch: int) -> None:
    ascending = sorted(costs)

    grid = CostGrid.fit([(100 * (i + 1), batch, cost) for i, cost in enumerate(ascending)])

    assert [grid.at(100 * (i + 1), batch) for i in range(len(ascending))] == ascending

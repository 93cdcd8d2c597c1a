from __future__ import annotations

from typing import Any

import pytest

from sentryfuse.bench.grid.cells import (
    Cells,
    Comparison,
    Duel,
    Place,
    duels,
    relative_gain,
    win_rate,
)

HERE = Place("toy", "maestro", 0.5, 1)


def record(school: str, method: str, *accuracies: float, seed: int = 0) -> dict[str, Any]:
    """One measurement: a row for each presence of one missing modality."""
    ratio = 0.0 if method == "unpruned" and school != "small" else 0.5
    rows = [{"ratio": ratio, "missing": 1, "accuracy": accuracy} for accuracy in accuracies]
    return {
        "data": "toy",
        "backbone": "maestro",
        "school": school,
        "seed": seed,
        "method": method,
        "rows": rows,
    }


def cells(*extra: dict[str, Any]) -> Cells:
    return Cells(
        [
            record("sentryfuse", "sentrygate", 0.8, 0.6),
            record("sentryfuse", "sentrygate", 0.9, seed=1),
            record("sentryfuse", "magnitude", 0.75),
            record("conventional", "magnitude", 0.5),
            record("conventional", "random", 0.3),
            record("conventional", "random", 0.5),
            record("sentryfuse", "unpruned", 0.9),
            record("small", "unpruned", 0.7),
            *extra,
        ]
    )


def test_presences_count_alike_within_a_seed_and_seeds_alike() -> None:
    assert cells().seeds(HERE, "sentrygate", "a") == pytest.approx({0: 0.7, 1: 0.9})
    assert cells().score(HERE, "sentrygate", "a") == pytest.approx(0.8)


def test_each_data_set_has_the_score_that_decides_it() -> None:
    measured = record("sentryfuse", "sentrygate", 0.8)
    measured["rows"][0]["auroc"] = 0.6

    cells = Cells([measured, {**measured, "data": "other"}], {"toy": "auroc"})

    assert cells.score(HERE, "sentrygate", "a") == 0.6
    assert cells.score(Place("other", "maestro", 0.5, 1), "sentrygate", "a") == 0.8


def test_the_draws_of_a_random_method_count_alike() -> None:
    assert cells().score(HERE, "random", "a") == pytest.approx(0.4)


@pytest.mark.parametrize(("comparison", "expected"), [("a", 0.5), ("b", 0.75)])
def test_a_baseline_is_on_its_users_backbone_in_a_and_on_ours_in_b(
    comparison: Comparison, expected: float
) -> None:
    assert cells().score(HERE, "magnitude", comparison) == expected


def test_what_was_not_measured_is_none_and_not_zero() -> None:
    assert cells().score(HERE, "flap", "a") is None
    assert cells().score(Place("toy", "maestro", 0.5, 0), "sentrygate", "a") is None


def test_the_unpruned_model_stands_beside_every_ratio_and_the_small_one_beside_its_own() -> None:
    assert cells().unpruned(HERE, "sentryfuse") == 0.9
    assert cells().small(HERE) == 0.7


def test_a_duel_is_with_the_strongest() -> None:
    (duel,) = duels(cells(), [HERE], ("random", "magnitude"), "a")

    assert (duel.rival, duel.theirs, duel.won) == ("magnitude", 0.5, True)


def test_a_cell_that_lacks_a_rival_is_not_counted_as_won() -> None:
    assert duels(cells(), [HERE], ("magnitude", "flap"), "a") == []


def test_methods_meet_on_the_seeds_that_all_of_them_have() -> None:
    lucky = cells(record("conventional", "magnitude", 1.0, seed=2))

    (duel,) = duels(lucky, [HERE], ("random", "magnitude"), "a")

    assert (duel.ours, duel.theirs) == (pytest.approx(0.7), 0.5)


def test_a_draw_is_not_won() -> None:
    assert not Duel(HERE, 0.5, "random", 0.5).won


def test_gain_and_win_rate_are_over_all_duels() -> None:
    fought = [Duel(HERE, 0.9, "random", 0.6), Duel(HERE, 0.3, "random", 0.4)]

    assert relative_gain(fought) == pytest.approx(1.2 / 1.0 - 1)
    assert win_rate(fought) == 0.5

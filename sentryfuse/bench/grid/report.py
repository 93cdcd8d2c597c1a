"""What a grid shows: figures for the record, and tables for the page of results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean, stdev

from sentryfuse.bench.grid.cells import (
    Cells,
    Comparison,
    Place,
    duels,
    places,
    relative_gain,
    win_rate,
)
from sentryfuse.bench.grid.config import GridConfig
from sentryfuse.bench.record import Record
from sentryfuse.learn.baselines import OURS, build_method
from sentryfuse.pruning import permille

_FAR = 0.65  # ratios from here on are "beyond"
_DELTAS = {0.5: "elastic_rho50_delta", 0.8: "elastic_rho80_delta", 0.9: "elastic_rho90_delta"}


def add_figures(record: Record, config: GridConfig, cells: Cells) -> None:
    """State every figure that the measured cells allow; those of an unfinished grid are partial."""
    grid = places(config, config.ratios)
    far = places(config, [r for r in config.all_ratios if r >= _FAR])
    three = config.strongest_of
    everyone = [m for m in config.methods if not m.startswith(OURS)]
    if fought := duels(cells, grid, three, "a"):
        per_cell = [d.ours / d.theirs - 1 for d in fought if d.theirs > 0]
        spread = {"cells": len(fought), "mean_of_cells": fmean(per_cell), "worst": min(per_cell)}
        record.add_figure("grid_a_relative_gain_mean", relative_gain(fought), "ratio", spread)
        won = {"cells": len(fought), "won": sum(d.won for d in fought)}
        record.add_figure("grid_a_win_rate", win_rate(fought), "ratio", won)
        most = max(config.missing)
        if last := [d for d in fought if d.place.missing == most]:
            record.add_figure(
                "grid_a_relative_gain_max_missing",
                relative_gain(last),
                "ratio",
                {"cells": len(last), "missing": most},
            )
    if fought := duels(cells, grid, everyone, "a"):
        won = {"cells": len(fought), "won": sum(d.won for d in fought)}
        record.add_figure("grid_a_all_win_rate", win_rate(fought), "ratio", won)
    if fought := duels(cells, far, everyone, "a"):
        count = {"cells": len(fought)}
        record.add_figure("grid_a_beyond_relative_gain_mean", relative_gain(fought), "ratio", count)
    _add_same_backbone(record, config, cells, grid, everyone)
    _add_own_loss(record, config, cells)


def _add_same_backbone(
    record: Record,
    config: GridConfig,
    cells: Cells,
    grid: Sequence[Place],
    everyone: Sequence[str],
) -> None:
    """Comparison (b): what the scores alone are worth."""
    static = [m for m in everyone if build_method(m.partition("+")[0]).static]
    means = {m: mean_of(cells, grid, m, "b") for m in (OURS, *everyone)}
    ours = means[OURS]
    known = {m: mean for m in static if (mean := means[m]) is not None}
    if ours is not None and known:
        best = max(known, key=lambda name: known[name])
        record.add("best_static_score", best)
        record.add_figure("grid_b_relative_gain_mean", ours / known[best] - 1, "ratio")
    oracle = means.get("taylor_oracle")
    if ours is not None and oracle is not None:
        record.add_figure("grid_b_gap_to_oracle", oracle - ours, "ratio")


def _add_own_loss(record: Record, config: GridConfig, cells: Cells) -> None:
    """Ours against its own unpruned self, and against small models of the same FLOPs."""
    for ratio, name in _DELTAS.items():
        changes = []
        for place in places(config, [ratio]):
            ours, whole = cells.score(place, OURS, "b"), cells.unpruned(place, "sentryfuse")
            if ours is not None and whole is not None:
                changes.append(ours - whole)
        if changes:
            spread = {"cells": len(changes), "worst": min(changes)}
            record.add_figure(name, fmean(changes), "ratio", spread)
    for ratio in config.small_ratios:
        leads = []
        for place in places(config, [ratio]):
            ours, small = cells.score(place, OURS, "b"), cells.small(place)
            if ours is not None and small is not None:
                leads.append(ours - small)
        if leads:
            spread = {"cells": len(leads), "worst": min(leads)}
            name = f"grid_over_small_rho{permille(ratio)}_delta"
            record.add_figure(name, fmean(leads), "ratio", spread)


def mean_of(
    cells: Cells, where: Sequence[Place], method: str, comparison: Comparison
) -> float | None:
    """Mean score of a method over cells; None if it is missing in one of them."""
    scores = [cells.score(place, method, comparison) for place in where]
    known = [score for score in scores if score is not None]
    return fmean(known) if known and len(known) == len(scores) else None


def tables(config: GridConfig, cells: Cells) -> Iterator[str]:
    """Write the results as Markdown tables, one for each comparison and data set."""
    for comparison, title in (
        ("a", "each on the backbone its user would have"),
        ("b", "all on the backbone trained for pruning"),
    ):
        for data in config.data:
            yield f"### ({comparison}) {data}: {title}\n"
            yield from _table(config, cells, data, "a" if comparison == "a" else "b")
            yield ""


def _table(config: GridConfig, cells: Cells, data: str, comparison: Comparison) -> Iterator[str]:
    columns, rows = rows_of(config, cells, data, comparison)
    yield "| " + " | ".join(columns) + " |"
    yield "| --- |" + " ---: |" * (len(columns) - 1)
    for row in rows:
        yield "| " + " | ".join(row) + " |"


def rows_of(
    config: GridConfig, cells: Cells, data: str, comparison: Comparison
) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Return columns and rows: methods down, ratios across."""
    ratios = config.all_ratios
    rows = []
    for method in (OURS, *(m for m in config.methods if m != OURS)):
        school = "sentryfuse" if comparison == "b" or method.startswith(OURS) else "conventional"
        scores = (_cell(config, cells, data, method, ratio, comparison) for ratio in ratios)
        rows.append((method, _unpruned(config, cells, data, school), *scores))
    small = [_small(config, cells, data, ratio) for ratio in ratios]
    if any(small):
        rows.append(("small dense", "", *small))
    return ("method, at ratio", "0", *(f"{ratio:g}" for ratio in ratios)), rows


def _cell(
    config: GridConfig,
    cells: Cells,
    data: str,
    method: str,
    ratio: float,
    comparison: Comparison,
) -> str:
    """Mean over backbones and numbers of missing modalities, ± deviation over seeds."""
    by_seed: dict[int, list[float]] = {}
    for place in places(config, [ratio]):
        if place.data == data:
            for seed, score in cells.seeds(place, method, comparison).items():
                by_seed.setdefault(seed, []).append(score)
    means = [fmean(scores) for scores in by_seed.values()]
    if not means:
        return ""
    spread = f" ± {stdev(means):.3f}" if len(means) > 1 else ""
    return f"{fmean(means):.3f}{spread}"


def _unpruned(config: GridConfig, cells: Cells, data: str, school: str) -> str:
    where = [place for place in places(config, [0.0]) if place.data == data]
    scores = [s for place in where if (s := cells.unpruned(place, school)) is not None]
    return f"{fmean(scores):.3f}" if scores else ""


def _small(config: GridConfig, cells: Cells, data: str, ratio: float) -> str:
    where = [place for place in places(config, [ratio]) if place.data == data]
    scores = [s for place in where if (s := cells.small(place)) is not None]
    return f"{fmean(scores):.3f}" if scores else ""

"""What a grid shows: figures for the record, and tables for the page of results."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import fmean, stdev

from sentryfuse.bench.grid.cells import (
    Cells,
    Comparison,
    Duel,
    duels,
    paired,
    places,
    relative_gain,
    win_rate,
)
from sentryfuse.bench.grid.config import GridConfig
from sentryfuse.bench.grid.records import Part
from sentryfuse.bench.record import Record
from sentryfuse.learn.baselines import OURS, build_method
from sentryfuse.pruning import permille

_FAR = 0.65  # ratios from here on are "beyond"
ELASTIC = {0.5: "elastic_rho50_delta", 0.8: "elastic_rho80_delta", 0.9: "elastic_rho90_delta"}


def add_figures(record: Record, part: Part) -> None:
    """State the figures of a complete part of a grid, under names that say which part it is."""
    config, cells = part.config, Cells(part.records, part.config.metric_of)
    grid = places(config, config.ratios)
    far = places(config, [r for r in config.all_ratios if r >= _FAR])
    everyone = rivals(config)
    begin = f"grid_{part.name}_" if part.name else "grid_"
    if fought := duels(cells, grid, config.strongest_of, "a"):
        per_cell = [d.ours / d.theirs - 1 for d in fought if d.theirs > 0]
        spread = {"cells": len(fought), "mean_of_cells": fmean(per_cell), "worst": min(per_cell)}
        gain = relative_gain(fought)
        record.add_figure(f"{begin}a_relative_gain_mean", gain, "ratio", spread)
        record.add_figure(f"{begin}a_win_rate", win_rate(fought), "ratio", _won(fought))
        most = max(config.missing)
        if last := [d for d in fought if d.place.missing == most]:
            count = {"cells": len(last), "missing": most}
            gain = relative_gain(last)
            record.add_figure(f"{begin}a_relative_gain_max_missing", gain, "ratio", count)
    if fought := duels(cells, grid, everyone, "a"):
        record.add_figure(f"{begin}a_all_win_rate", win_rate(fought), "ratio", _won(fought))
    if fought := duels(cells, far, everyone, "a"):
        gain = relative_gain(fought)
        count = {"cells": len(fought)}
        record.add_figure(f"{begin}a_beyond_relative_gain_mean", gain, "ratio", count)
    if fought := duels(cells, grid, config.strongest_of, "b"):
        record.add_figure(f"{begin}b_win_rate", win_rate(fought), "ratio", _won(fought))
    if static := best_static(config, cells):
        name, ours, best = static
        record.add(f"{begin}best_static_score", name)
        record.add_figure(f"{begin}b_relative_gain_mean", ours / best - 1, "ratio")
    if (gap := oracle_gap(config, cells)) is not None:
        record.add_figure(f"{begin}b_gap_to_oracle", gap, "ratio")
    own = f"{part.name}_" if part.name else ""
    for ratio, name in ELASTIC.items():
        if changes := elastic_changes(config, cells, ratio):
            spread = {"cells": len(changes), "worst": min(changes)}
            record.add_figure(f"{own}{name}", fmean(changes), "ratio", spread)
    for ratio in config.small_ratios:
        if leads := leads_over_small(config, cells, ratio):
            spread = {"cells": len(leads), "worst": min(leads)}
            name = f"{begin}over_small_rho{permille(ratio)}_delta"
            record.add_figure(name, fmean(leads), "ratio", spread)


def _won(fought: Sequence[Duel]) -> dict[str, float]:
    return {"cells": len(fought), "won": sum(d.won for d in fought)}


def rivals(config: GridConfig) -> list[str]:
    """Every method that is not ours."""
    return [m for m in config.methods if not m.startswith(OURS)]


def best_static(config: GridConfig, cells: Cells) -> tuple[str, float, float] | None:
    """Find the static method with the best mean on our backbone over cells that have them all.

    Returns:
        Its name, the mean of ours, its mean; None if there is no such cell.
    """
    static = [m for m in rivals(config) if build_method(m.partition("+")[0]).static]
    means = _common_means(config, cells, (OURS, *static))
    if not static or means is None:
        return None
    best = max(static, key=lambda name: means[name])
    return best, means[OURS], means[best]


def oracle_gap(config: GridConfig, cells: Cells) -> float | None:
    """Mean by which the labelled saliency of the presence at hand beats the gate, on ours."""
    if "taylor_oracle" not in config.methods:
        return None
    means = _common_means(config, cells, (OURS, "taylor_oracle"))
    return None if means is None else means["taylor_oracle"] - means[OURS]


def _common_means(
    config: GridConfig, cells: Cells, methods: Sequence[str]
) -> dict[str, float] | None:
    found = [
        means
        for place in places(config, config.ratios)
        if (means := paired(*(cells.seeds(place, m, "b") for m in methods))) is not None
    ]
    if not found:
        return None
    return dict(zip(methods, map(fmean, zip(*found, strict=True)), strict=True))


def elastic_changes(config: GridConfig, cells: Cells, ratio: float) -> list[float]:
    """Ours pruned less ours unpruned, in each cell of this ratio."""
    pairs = (
        paired(cells.seeds(place, OURS, "b"), cells.unpruned_seeds(place, "sentryfuse"))
        for place in places(config, [ratio])
    )
    return [pair[0] - pair[1] for pair in pairs if pair is not None]


def leads_over_small(config: GridConfig, cells: Cells, ratio: float) -> list[float]:
    """Ours pruned less the small dense model of the same FLOPs, in each cell of this ratio."""
    pairs = (
        paired(cells.seeds(place, OURS, "b"), cells.small_seeds(place))
        for place in places(config, [ratio])
    )
    return [pair[0] - pair[1] for pair in pairs if pair is not None]


def tables(config: GridConfig, cells: Cells) -> Iterator[str]:
    """Write the results as Markdown tables, one for each comparison and data set."""
    for comparison, title in (
        ("a", "each on the backbone its user would have"),
        ("b", "all on the backbone trained for pruning"),
    ):
        for data in config.data:
            if not cells.has(data):
                continue
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

"""The page of results in words: what was measured, and which of the paper's claims hold on it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from statistics import fmean

from sentryfuse.bench.grid.cells import Cells, Duel, Place, duels, places, relative_gain
from sentryfuse.bench.grid.config import GridConfig
from sentryfuse.bench.grid.records import Measured, complete_parts
from sentryfuse.bench.grid.report import (
    ELASTIC,
    best_static,
    elastic_changes,
    leads_over_small,
    oracle_gap,
    rivals,
    tables,
)

# What arXiv 2604.08971 reports against the strongest of its three baselines.
_PAPER_GAIN, _PAPER_WINS, _PAPER_GAIN_AT_MOST_MISSING = 0.127, 133 / 144, 0.18


def page(config: GridConfig, records: Sequence[Measured]) -> Iterator[str]:
    """Write everything that stands between the marks of the page, line by line."""
    cells = Cells(records, config.metric_of)
    yield from coverage(config, cells, records)
    yield ""
    yield from unpruned(config, records)
    yield ""
    yield from verdicts(config, cells)
    yield ""
    yield from tables(config, cells)


def coverage(config: GridConfig, cells: Cells, records: Sequence[Measured]) -> Iterator[str]:
    """Say which cells are there and which seeds of them."""
    grid = places(config, config.ratios)
    known = {d.place for d in duels(cells, grid, rivals(config), "a")}
    whole = [part.name for part in complete_parts(config, records)]
    if "" in whole:
        yield f"All {len(grid)} cells are measured, with {len(config.seeds)} seeds.\n"
    else:
        yield (
            f"**The grid is not complete:** {len(known)} of its {len(grid)} cells are measured "
            "with every method. What is said below holds for those cells and no others, and with "
            f"fewer than {len(config.seeds)} seeds it is a first look, not a claim.\n"
        )
    yield "| data | " + " | ".join(config.backbones) + " |"
    yield "| --- |" + " ---: |" * len(config.backbones)
    for data in config.data:
        row = [_covered(config, cells, data, backbone, known) for backbone in config.backbones]
        yield f"| {data} | " + " | ".join(row) + " |"
    yield ""
    yield (
        f"Cells of {len(config.ratios) * len(config.missing)}, and how many seeds they have. "
        "*Holds here*: as much as the paper reports, or ahead where it reports nothing."
    )


def _covered(config: GridConfig, cells: Cells, data: str, backbone: str, known: set[Place]) -> str:
    here = [p for p in places(config, config.ratios) if (p.data, p.backbone) == (data, backbone)]
    measured = [place for place in here if place in known]
    if not measured:
        return "none"
    seeds = min(
        len(set(cells.seeds(place, method, "a"))) for place in measured for method in rivals(config)
    )
    return f"{len(measured)}, {seeds} seed{'s' if seeds > 1 else ''}"


def unpruned(config: GridConfig, records: Sequence[Measured]) -> Iterator[str]:
    """Say what the models reach before anything is pruned, with every modality present."""
    schools = ("sentryfuse", "conventional")
    by_metric = {
        name: Cells(records, dict.fromkeys(config.data, name))
        for name in ("accuracy", "balanced_accuracy", "f1", "auroc")
    }
    yield (
        "Unpruned, every sensor present, mean over seeds: test accuracy (or balanced accuracy, "
        "where that decides) / macro-F1 / AUROC of two classes."
    )
    yield ""
    yield "| data | backbone | trained for pruning | conventionally |"
    yield "| --- | --- | ---: | ---: |"
    for place in places(replace(config, missing=(0,)), [0.0]):
        names = (config.metric_of.get(place.data, "accuracy"), "f1", "auroc")
        scores = [[by_metric[n].unpruned(place, school) for n in names] for school in schools]
        if any(score is not None for row in scores for score in row):
            shown = (" / ".join(f"{s:.3f}" for s in row if s is not None) for row in scores)
            yield f"| {place.data} | {place.backbone} | " + " | ".join(shown) + " |"


def verdicts(config: GridConfig, cells: Cells) -> Iterator[str]:
    """Set the paper's claims beside what was measured, and say which do not hold."""
    grid = places(config, config.ratios)
    yield "| question | paper | here | cells | holds here |"
    yield "| --- | --- | --- | ---: | --- |"
    three = duels(cells, grid, config.strongest_of, "a")
    last = [d for d in three if d.place.missing == max(config.missing)]
    far = places(config, [r for r in config.all_ratios if r not in config.ratios])
    if not three:
        return
    names = ", ".join(config.strongest_of)
    paper = "0.68 : 0.60, +12.7 %"
    yield _gain_row(f"(a) mean gain over the strongest of {names}", paper, three, _PAPER_GAIN)
    wins = f"(a) wins against the strongest of {names}"
    yield _wins_row(wins, "133 of 144", three, _PAPER_WINS)
    yield _gain_row(f"(a) mean gain at {max(config.missing)} missing", "", last)
    best = max(d.ours / d.theirs - 1 for d in last)
    at_best = f"{_signed(100 * best)} %"
    what = f"(a) largest gain in a cell at {max(config.missing)} missing"
    yield _row(what, "up to +18 %", at_best, len(last), best >= _PAPER_GAIN_AT_MOST_MISSING)
    everyone = rivals(config)
    yield _wins_row("(a) wins against all baselines", "", duels(cells, grid, everyone, "a"))
    if fought := duels(cells, far, everyone, "a"):
        yield _gain_row("(a) mean gain over all baselines, ratios beyond the grid", "", fought)
    if fought := duels(cells, grid, config.strongest_of, "b"):
        yield _wins_row(f"(b) wins against the strongest of {names}", "", fought)
    if static := best_static(config, cells):
        name, ours, best = static
        yield _row(
            f"(b) the gate against the best static score ({name})",
            "",
            f"{ours:.3f} : {best:.3f}, {_signed(100 * (ours / best - 1))} %",
            len(three),
            ours > best,
        )
    if (gap := oracle_gap(config, cells)) is not None:
        points = f"{_signed(-100 * gap)} points"
        paper = "\u22121 point in two cells"
        yield _row("(b) the gate against its labelled oracle", paper, points, len(three), None)
    for ratio in ELASTIC:
        if changes := elastic_changes(config, cells, ratio):
            yield _change_row(f"ours at ratio {ratio:g} against ours unpruned", changes, None)
    for ratio in config.small_ratios:
        if leads := leads_over_small(config, cells, ratio):
            what = f"ours at ratio {ratio:g} against a small dense model of its FLOPs"
            yield _change_row(what, leads, fmean(leads) > 0)
    lost = [d for d in three if not d.won]
    yield ""
    yield from _in_words(three, lost)
    for ratio in config.small_ratios:
        leads = leads_over_small(config, cells, ratio)
        if leads and fmean(leads) < 0:
            yield (
                f"**At ratio {ratio:g} a small dense model, trained at that size, is better** than "
                f"ours pruned to it, by {-100 * fmean(leads):.1f} points."
            )


def _in_words(three: Sequence[Duel], lost: Sequence[Duel]) -> Iterator[str]:
    gain = relative_gain(three)
    if gain >= _PAPER_GAIN:
        yield "The paper's mean gain of 12.7 % is reached on the cells measured."
    elif gain > 0:
        yield (
            f"**The paper's mean gain of 12.7 % is not reached** on the cells measured: it is "
            f"{100 * gain:.1f} %."
        )
    else:
        yield (
            "**The paper's claim does not hold on the cells measured:** the strongest of its "
            f"baselines is better on average, by {-100 * gain:.1f} %."
        )
    if lost:
        by_rival = sorted({d.rival for d in lost})
        worst = min(lost, key=lambda d: d.ours - d.theirs)
        place = worst.place
        where = (
            f"{place.data}, {place.backbone}, ratio {place.ratio:g}, {place.missing} missing: "
            f"{worst.ours:.3f} against {worst.theirs:.3f}"
        )
        who = ", ".join(by_rival)
        yield f"Cells lost or drawn: {len(lost)} of {len(three)}, to {who}; the worst is {where}."


def _gain_row(claim: str, paper: str, fought: Sequence[Duel], least: float = 0.0) -> str:
    ours, theirs = fmean(d.ours for d in fought), fmean(d.theirs for d in fought)
    here = f"{ours:.3f} : {theirs:.3f}, {_signed(100 * relative_gain(fought))} %"
    return _row(claim, paper, here, len(fought), ours / theirs - 1 > least)


def _wins_row(claim: str, paper: str, fought: Sequence[Duel], least: float = 0.5) -> str:
    won = sum(d.won for d in fought)
    return _row(claim, paper, f"{won} of {len(fought)}", len(fought), won >= least * len(fought))


def _change_row(claim: str, changes: Sequence[float], holds: bool | None) -> str:
    here = f"{_signed(100 * fmean(changes))} points, worst cell {_signed(100 * min(changes))}"
    return _row(claim, "", here, len(changes), holds)


def _row(claim: str, paper: str, here: str, cells: int, holds: bool | None) -> str:
    verdict = {True: "yes", False: "**no**", None: ""}[holds]
    return f"| {claim} | {paper} | {here} | {cells} | {verdict} |"


def _signed(value: float) -> str:
    return f"{value:+.1f}".replace("-", "\u2212")

"""From records of measurements to cells: what each method reaches where, seed by seed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from statistics import fmean
from typing import Any, Literal

from sentryfuse.bench.grid.config import GridConfig
from sentryfuse.bench.grid.jobs import UNPRUNED
from sentryfuse.learn.baselines import OURS

Comparison = Literal["a", "b"]
"""(a) each method on the backbone its user would have: ours on ours, the others on a
conventional one; (b) all methods on ours."""


@dataclass(frozen=True, slots=True)
class Place:
    """One cell: where methods meet."""

    data: str
    backbone: str
    ratio: float
    missing: int


@dataclass(frozen=True, slots=True)
class _Line:
    """One method on one school of backbones in one cell."""

    place: Place
    school: str
    method: str


class Cells:
    """Scores of every method in every cell.

    Args:
        records: As :func:`sentryfuse.bench.grid.measure.measure` gives them.
        metric_of: Which of their scores, by data set; accuracy where none is named.
    """

    def __init__(
        self, records: Iterable[Mapping[str, Any]], metric_of: Mapping[str, str] | None = None
    ) -> None:
        gathered: dict[_Line, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
        for record in records:
            metric = (metric_of or {}).get(record["data"], "accuracy")
            for row in record["rows"]:
                if metric not in row:
                    continue
                place = Place(record["data"], record["backbone"], row["ratio"], row["missing"])
                line = _Line(place, record["school"], record["method"])
                gathered[line][record["seed"]].append(row[metric])
        # Presences count alike, and so do the draws of a method that draws.
        self._scores = {
            line: {seed: fmean(values) for seed, values in seeds.items()}
            for line, seeds in gathered.items()
        }

    def has(self, data: str) -> bool:
        """Whether anything was measured on a data set."""
        return any(line.place.data == data for line in self._scores)

    def seeds(self, place: Place, method: str, comparison: Comparison) -> Mapping[int, float]:
        """Score of a method in a cell by seed; empty where it was not measured."""
        school = "sentryfuse" if comparison == "b" or method.startswith(OURS) else "conventional"
        return self._scores.get(_Line(place, school, method), {})

    def score(self, place: Place, method: str, comparison: Comparison) -> float | None:
        """Mean score over seeds; None where it was not measured."""
        return _mean(self.seeds(place, method, comparison))

    def unpruned_seeds(self, place: Place, school: str) -> Mapping[int, float]:
        """Score of the unpruned model of a school by seed, whatever the cell's ratio."""
        whole = Place(place.data, place.backbone, 0.0, place.missing)
        return self._scores.get(_Line(whole, school, UNPRUNED), {})

    def unpruned(self, place: Place, school: str) -> float | None:
        """Mean score of the unpruned model of a school, whatever the cell's ratio."""
        return _mean(self.unpruned_seeds(place, school))

    def small_seeds(self, place: Place) -> Mapping[int, float]:
        """Score of the small dense model that has the cell's FLOPs, by seed."""
        return self._scores.get(_Line(place, "small", UNPRUNED), {})

    def small(self, place: Place) -> float | None:
        """Mean score of the small dense model that has the cell's FLOPs."""
        return _mean(self.small_seeds(place))


def _mean(seeds: Mapping[int, float]) -> float | None:
    return fmean(seeds.values()) if seeds else None


def paired(*scores: Mapping[int, float]) -> tuple[float, ...] | None:
    """Mean of each over the seeds that all of them have; None if there is no such seed."""
    common = set.intersection(*(set(seeds) for seeds in scores))
    if not common:
        return None
    return tuple(fmean(seeds[seed] for seed in common) for seeds in scores)


def places(config: GridConfig, ratios: Sequence[float]) -> list[Place]:
    """Every cell of a grid at these ratios."""
    return [
        Place(*corner) for corner in product(config.data, config.backbones, ratios, config.missing)
    ]


@dataclass(frozen=True, slots=True)
class Duel:
    """Ours against the strongest of some methods in one cell."""

    place: Place
    ours: float
    rival: str
    theirs: float

    @property
    def won(self) -> bool:
        """Whether ours is ahead; a draw is none."""
        return self.ours > self.theirs


def duels(
    cells: Cells, where: Iterable[Place], rivals: Sequence[str], comparison: Comparison
) -> list[Duel]:
    """Set ours against the strongest rival in each cell, on the seeds measured with all of them."""
    found = []
    for place in where:
        means = paired(*(cells.seeds(place, name, comparison) for name in (OURS, *rivals)))
        if means is None:
            continue
        ours, *theirs = means
        best = max(theirs)
        found.append(Duel(place, ours, rivals[theirs.index(best)], best))
    return found


def relative_gain(fought: Sequence[Duel]) -> float:
    """Mean of ours over the mean of the strongest rivals, less one."""
    return fmean(d.ours for d in fought) / fmean(d.theirs for d in fought) - 1


def win_rate(fought: Sequence[Duel]) -> float:
    """Part of the cells that are won."""
    return sum(d.won for d in fought) / len(fought)

"""From records of measurements to cells: what each method reaches where, seed by seed."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any, Literal

from sentryfuse.bench.grid.config import GridConfig
from sentryfuse.bench.grid.jobs import UNPRUNED
from sentryfuse.errors import DataError
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
        metric: Which of their scores.
    """

    def __init__(self, records: Iterable[Mapping[str, Any]], metric: str = "accuracy") -> None:
        gathered: dict[_Line, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
        for record in records:
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

    def seeds(self, place: Place, method: str, comparison: Comparison) -> Mapping[int, float]:
        """Score of a method in a cell by seed; empty where it was not measured."""
        school = "sentryfuse" if comparison == "b" or method.startswith(OURS) else "conventional"
        return self._scores.get(_Line(place, school, method), {})

    def score(self, place: Place, method: str, comparison: Comparison) -> float | None:
        """Mean score over seeds; None where it was not measured."""
        seeds = self.seeds(place, method, comparison)
        return fmean(seeds.values()) if seeds else None

    def unpruned(self, place: Place, school: str) -> float | None:
        """Mean score of the unpruned model of a school, whatever the cell's ratio."""
        whole = Place(place.data, place.backbone, 0.0, place.missing)
        seeds = self._scores.get(_Line(whole, school, UNPRUNED), {})
        return fmean(seeds.values()) if seeds else None

    def small(self, place: Place) -> float | None:
        """Mean score of the small dense model that has the cell's FLOPs."""
        seeds = self._scores.get(_Line(place, "small", UNPRUNED), {})
        return fmean(seeds.values()) if seeds else None


def read_records(folder: Path) -> list[dict[str, Any]]:
    """Read every measurement of a grid.

    Raises:
        DataError: A record cannot be read.
    """
    records = []
    for path in sorted(folder.glob("*.json")):
        try:
            records.append(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: not a record: {error}") from error
    return records


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
    """Set ours against the strongest rival in each cell where all of them were measured."""
    found = []
    for place in where:
        ours = cells.score(place, OURS, comparison)
        scores = {name: cells.score(place, name, comparison) for name in rivals}
        known = {name: score for name, score in scores.items() if score is not None}
        if ours is None or len(known) < len(rivals):
            continue
        rival = max(known, key=lambda name: known[name])
        found.append(Duel(place, ours, rival, known[rival]))
    return found


def relative_gain(fought: Sequence[Duel]) -> float:
    """Mean of ours over the mean of the strongest rivals, less one."""
    return fmean(d.ours for d in fought) / fmean(d.theirs for d in fought) - 1


def win_rate(fought: Sequence[Duel]) -> float:
    """Part of the cells that are won."""
    return sum(d.won for d in fought) / len(fought)

"""The work of a grid as a list of jobs, each with the file that proves it done."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Literal
from zlib import crc32

from sentryfuse.bench.grid.config import GridConfig
from sentryfuse.learn.baselines import OURS
from sentryfuse.pruning import permille

School = Literal["sentryfuse", "conventional", "small"]
"""How a backbone was trained: elastic with its gate; plainly; plainly and small from the start."""
UNPRUNED = "unpruned"
"""The method that leaves a model as it is."""


@dataclass(frozen=True, slots=True)
class Training:
    """One model to train."""

    data: str
    backbone: str
    school: School
    seed: int
    permille: int = 0
    """Of a small model: the pruning ratio whose FLOPs it has."""

    @property
    def name(self) -> str:
        """Folder of the run."""
        school = f"small{self.permille}" if self.school == "small" else self.school
        return f"{self.data}-{self.backbone}-{school}-seed{self.seed}"


@dataclass(frozen=True, slots=True)
class Measurement:
    """One method on one trained model: every presence at every ratio, on the test groups."""

    training: Training
    method: str
    draw: int = 0
    """Which of several random rankings."""

    @property
    def name(self) -> str:
        """File of the record, without its ending."""
        drawn = f"-{self.draw}" if self.method == "random" else ""
        return f"{self.training.name}-{self.method}{drawn}"


Job = Training | Measurement


def trainings(config: GridConfig) -> Iterator[Training]:
    """Every model of a grid, one seed of everything before the next."""
    for seed, data, backbone in product(config.seeds, config.data, config.backbones):
        yield Training(data, backbone, "sentryfuse", seed)
        yield Training(data, backbone, "conventional", seed)
        for ratio in config.small_ratios:
            yield Training(data, backbone, "small", seed, permille(ratio))


def measurements(config: GridConfig, training: Training) -> Iterator[Measurement]:
    """What is measured on a model: comparison (a) needs ours on ours, (b) all methods on ours."""
    yield Measurement(training, UNPRUNED)
    if training.school == "small":
        return
    if training.school == "sentryfuse":
        yield Measurement(training, OURS)
    for method in config.methods:
        if method == OURS or (method.startswith(OURS) and training.school != "sentryfuse"):
            continue
        draws = config.random_draws if method == "random" else 1
        yield from (Measurement(training, method, draw) for draw in range(draws))


def shard_of(training: Training, count: int) -> int:
    """Which of several machines works on a model: the same one that trained it measures it."""
    return crc32(training.name.encode()) % count

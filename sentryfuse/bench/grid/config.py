"""What a grid holds, as one frozen value that a TOML file fills."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from sentryfuse.errors import ConfigError
from sentryfuse.learn.baselines import BASELINES, OURS
from sentryfuse.learn.settings import Recipe

CORRECTED = "+ls"
"""Ending of a method's name whose masks are corrected by our least squares."""

METRICS = ("accuracy", "balanced_accuracy", "auroc", "f1")
"""Scores that can decide the cells of a data set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GridConfig:
    """Backbones x data sets x ratios x numbers of missing modalities, methods and seeds."""

    name: str
    prefix: str = ""
    """Stands in the names of its figures, where those of another grid are kept beside them."""
    data: tuple[str, ...]
    """Data sets, files NAME.npz of the window format."""
    backbones: tuple[str, ...]
    seeds: tuple[int, ...]
    ratios: tuple[float, ...]
    """Pruning ratios that count as cells of the grid."""
    beyond: tuple[float, ...] = ()
    """Further ratios: measured, shown, and not counted as cells."""
    beyond_on_ours: tuple[int, ...] | None = None
    """Seeds of which baselines on our backbone are measured at those, too: no figure needs them
    there; all seeds if it is not said."""
    missing: tuple[int, ...]
    """How many modalities are missing; every presence of that size is measured."""
    methods: tuple[str, ...]
    """Baselines; a name that ends in ``+ls`` has its masks corrected by least squares."""
    strongest_of: tuple[str, ...]
    """The baselines that the paper compares with."""
    metric_of: Mapping[str, str] = field(default_factory=dict)
    """What decides the cells of a data set: one of ``METRICS``, accuracy if it is not named."""
    test_every: Mapping[str, int] = field(default_factory=dict)
    """By data set: which of the test windows answer, every second, say; all if it is not named."""
    random_draws: int = 5
    calibration_windows: int = 256
    small_ratios: tuple[float, ...] = ()
    """At these ratios a small dense model of the same FLOPs is trained from scratch too."""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    """Of every training; the tables below change parts of it."""
    of_data: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    of_backbone: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    of_pair: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By ``DATA-BACKBONE``: what one backbone needs on one data set alone; on top of all others."""

    def __post_init__(self) -> None:
        for name in ("data", "backbones", "seeds", "ratios", "missing", "methods"):
            if not getattr(self, name):
                raise ConfigError(f"grid.{name} is empty")
        for ratio in (*self.ratios, *self.beyond, *self.small_ratios):
            if not 0 < ratio < 1:
                raise ConfigError(f"a pruning ratio must be between 0 and 1, got {ratio}")
        known = {*BASELINES, OURS}
        for method in (*self.methods, *self.strongest_of):
            if method.removesuffix(CORRECTED) not in known:
                raise ConfigError(f"grid.methods has no {method!r}; there is {sorted(known)}")
        for metric in self.metric_of.values():
            if metric not in METRICS:
                raise ConfigError(f"grid.metric_of has no {metric!r}; there is {METRICS}")
        for name, every in self.test_every.items():
            if every < 1:
                raise ConfigError(f"grid.test_every.{name} must be at least 1, got {every}")
        unmeasured = sorted({*self.strongest_of} - {*self.methods})
        if unmeasured:
            raise ConfigError(f"grid.strongest_of names {unmeasured[0]!r}, which is no method")

    @property
    def all_ratios(self) -> tuple[float, ...]:
        """Every ratio that is measured, ascending."""
        return tuple(sorted({*self.ratios, *self.beyond, *self.small_ratios}))

    def ratios_of(self, *, baseline_on_ours: bool, seed: int) -> tuple[float, ...]:
        """Ratios at which a method is measured on a model, ascending."""
        shown = self.beyond_on_ours is None or seed in self.beyond_on_ours
        return self.all_ratios if shown or not baseline_on_ours else tuple(sorted(self.ratios))

    def only(self, data: Sequence[str]) -> GridConfig:
        """Return the part of the grid on these data sets; all of it if none is named.

        Raises:
            ConfigError: The grid has no such set.
        """
        for name in data:
            if name not in self.data:
                raise ConfigError(f"grid {self.name} has no data set {name!r}; it has {self.data}")
        return self.part(data, self.seeds) if data else self

    def part(self, data: Sequence[str], seeds: Sequence[int]) -> GridConfig:
        """Return the grid on these data sets and seeds."""
        return replace(self, data=tuple(data), seeds=tuple(seeds))

    def recipe_of(self, data: str, backbone: str) -> Recipe:
        """Return how a backbone is trained on a data set.

        Raises:
            ConfigError: The recipe names something unknown.
        """
        merged = _merged(
            self.recipe,
            self.of_data.get(data, {}),
            self.of_backbone.get(backbone, {}),
            self.of_pair.get(f"{data}-{backbone}", {}),
        )
        return Recipe.from_mapping(_merged(merged, {"backbone": {"kind": backbone}}))


def read_grid(path: Path) -> GridConfig:
    """Read a grid.

    Raises:
        ConfigError: The file is missing, not TOML, or makes no sense; the message says what.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from error
    known = {f.name for f in fields(GridConfig)}
    unknown = sorted(set(content) - known)
    if unknown:
        raise ConfigError(f"{path}: no setting {unknown[0]!r}; there is {sorted(known)}")
    try:
        values: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in content.items()
        }
        config = GridConfig(**values)
        for data in config.data:
            for backbone in config.backbones:
                config.recipe_of(data, backbone)
    except (ConfigError, TypeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    return config


def _merged(*layers: Mapping[str, Any]) -> dict[str, Any]:
    """Lay nested tables over one another, later ones on top."""
    result: dict[str, Any] = {}
    for layer in layers:
        for key, value in layer.items():
            under = result.get(key)
            both = isinstance(value, Mapping) and isinstance(under, Mapping)
            result[key] = _merged(under, value) if both else value  # type: ignore[arg-type]
    return result

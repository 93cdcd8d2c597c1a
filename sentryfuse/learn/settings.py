"""How to train, as one frozen value that a TOML file can fill."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from sentryfuse.errors import ConfigError
from sentryfuse.spec import BackboneSpec

TEACHERS = ("first_order", "fisher", "none")


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentSettings:
    """Random changes of a training window, drawn anew each time it is seen."""

    rotation_deg: float = 0.0
    """Largest angle by which the axes of a sensor are turned; needs ``rotate``."""
    rotate: tuple[str, ...] = ()
    """Modalities whose channels are triads x, y, z of one rigid sensor."""
    scale_std: float = 0.1
    jitter_std: float = 0.05
    """Noise added after standardisation."""
    shift: bool = True
    """Start the window at a random sample and wrap around."""
    channel_drop: float = 0.05
    """Probability that a channel is replaced by its training mean."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """Everything a training run depends on, besides the data and the shape of the model."""

    epochs: int = 60
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    label_smoothing: float = 0.1
    ema_decay: float = 0.995
    """Decay of the weight average that is evaluated and shipped."""
    seed: int = 0
    threads: int = 2
    elastic: bool = True
    """Also train through a hard mask each step; off = the paper's training."""
    elastic_from: float = 0.4
    """Part of the run, at its start, without elastic steps: first the whole, then its parts
    (docs/decisions/0019)."""
    gated: bool = True
    """Without elastic steps, let the gate's scores act on the units; off = a conventional
    backbone, whose gate means nothing."""
    max_ratio: float = 0.95
    """Largest pruning ratio of an elastic step."""
    distil_weight: float = 0.7
    """Weight of the full pass's answer in an elastic step; the label has the rest."""
    teacher: str = "first_order"
    """Saliency that the gate is aligned with: ``first_order``, ``fisher`` or ``none``."""
    straight_through: bool = True
    """Let the pruned pass of an elastic step train the gate, through the hard mask."""
    align_weight: float = 0.1
    binarise_weight: float = 0.05
    router_weight: float = 0.01
    """Weight of what a backbone wants of its routers (balance, entropy, own experts)."""
    full_fraction: float = 0.1
    """Part of the run, at its start, in which every modality is present."""
    ramp_fraction: float = 0.3
    """Part of the run over which missing modalities become as common as they will be."""
    augment: AugmentSettings = field(default_factory=AugmentSettings)

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "learning_rate", "threads"):
            if not getattr(self, name) > 0:
                raise ConfigError(f"training.{name} must be positive, got {getattr(self, name)}")
        for name in ("max_ratio", "ema_decay", "label_smoothing", "elastic_from"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"training.{name} must be in [0, 1), got {getattr(self, name)}")
        if self.teacher not in TEACHERS:
            raise ConfigError(f"training.teacher must be one of {TEACHERS}, got {self.teacher!r}")
        if self.elastic and not self.gated:
            raise ConfigError("training.gated can be off only where training.elastic is")
        if self.teacher == "none" and self.elastic and not self.straight_through:
            raise ConfigError(
                "the gate would learn from nothing: training.teacher is 'none' and "
                "training.straight_through is off"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Shape of the model and settings of its training: what ``configs/*.toml`` holds."""

    backbone: BackboneSpec = field(default_factory=BackboneSpec)
    gate_hidden_dim: int = 16
    training: TrainingSettings = field(default_factory=TrainingSettings)

    @classmethod
    def from_toml(cls, path: Path) -> Recipe:
        """Read a recipe; what it leaves out keeps its default.

        Raises:
            ConfigError: The file is missing, not TOML, or names something unknown.
        """
        try:
            data = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"{path}: cannot be read: {error}") from error
        try:
            return cls.from_mapping(data)
        except (ConfigError, TypeError) as error:
            raise ConfigError(f"{path}: {error}") from error

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> Recipe:
        """Build a recipe from nested mappings."""
        _check_known("recipe", data, {"backbone", "training", "gate_hidden_dim"})
        training = dict(data.get("training", {}))
        augment = dict(training.pop("augment", {}))
        backbone = dict(data.get("backbone", {}))
        _check_known("backbone", backbone, {f.name for f in fields(BackboneSpec)})
        _check_known("training", training, {f.name for f in fields(TrainingSettings)})
        _check_known("training.augment", augment, {f.name for f in fields(AugmentSettings)})
        if "rotate" in augment:
            augment["rotate"] = tuple(augment["rotate"])
        return cls(
            **{k: v for k, v in data.items() if k == "gate_hidden_dim"},
            backbone=BackboneSpec(**backbone),
            training=TrainingSettings(**training, augment=AugmentSettings(**augment)),
        )

    def to_json(self) -> dict[str, Any]:
        """Return plain data for a record."""
        return asdict(self)


def _check_known(section: str, given: Mapping[str, Any], allowed: set[str]) -> None:
    unknown = sorted(set(given) - allowed)
    if unknown:
        raise ConfigError(f"{section} has no setting {unknown[0]!r}; it has {sorted(allowed)}")

"""Trained models of a grid: made once, kept as plain tensors beside the log of their training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from sentryfuse.bench.grid.config import GridConfig
from sentryfuse.bench.grid.jobs import Training
from sentryfuse.data.normalise import fit_normalisation
from sentryfuse.data.splits import Split, recommended_split
from sentryfuse.data.windows import WindowSet, load_windows
from sentryfuse.gate import Gate
from sentryfuse.learn.backbones import Backbone, build_backbone
from sentryfuse.learn.loop import Trainer
from sentryfuse.learn.settings import Recipe
from sentryfuse.learn.train import model_spec, run_epochs
from sentryfuse.presence import Presence
from sentryfuse.spec import BackboneSpec, ModelSpec, Normalisation
from sentryfuse.units import Inventory

_GATE = "gate."
_WEIGHTS = "model.safetensors"
_UNEVEN = 0.05  # what it counts that heads and channels shrink by different parts


@dataclass(frozen=True, eq=False)
class Source:
    """A data set and what was fitted on its training groups."""

    windows: WindowSet
    split: Split
    normalisation: dict[str, Normalisation]

    @property
    def train(self) -> WindowSet:
        """Windows that models learn from."""
        return self.windows.of_groups(self.split.train)

    @property
    def class_shares(self) -> NDArray[np.float64]:
        """Share of each class among those windows, ``[classes]``, as if each had one more."""
        counts = np.bincount(self.train.label, minlength=len(self.windows.class_names)) + 1.0
        shares: NDArray[np.float64] = counts / counts.sum()
        return shares


@dataclass(frozen=True, eq=False)
class Trained:
    """A model and its gate, as measured."""

    backbone: Backbone
    gate_arrays: dict[str, NDArray[np.float32]]

    @property
    def gate(self) -> Gate:
        """The gate, ready to score."""
        return Gate.from_arrays(self.gate_arrays)


@lru_cache(maxsize=1)
def read_source(folder: Path, name: str) -> Source:
    """Read a data set.

    Raises:
        DataError: It is missing or not usable.
    """
    windows = load_windows(folder / f"{name}.npz")
    split = recommended_split(windows)
    return Source(windows, split, fit_normalisation(windows.of_groups(split.train)))


def recipe_of(config: GridConfig, training: Training, source: Source) -> Recipe:
    """Return the recipe of a training: of its school, seed and size."""
    recipe = config.recipe_of(training.data, training.backbone)
    settings = replace(recipe.training, seed=training.seed, threads=1)
    if training.school != "sentryfuse":
        settings = replace(settings, elastic=False, gated=False, teacher="none")
    recipe = replace(recipe, training=settings)
    if training.school == "small":
        whole = model_spec(source.windows, recipe)
        recipe = replace(recipe, backbone=smaller(whole, training.permille / 1000))
    return recipe


def smaller(spec: ModelSpec, ratio: float) -> BackboneSpec:
    """Return the shape with that much fewer heads and channels in every layer, nearest by FLOPs.

    Heads and channels shrink by about the same part, as in deployment; heads only in steps that
    leave every group of key and value heads as many.
    """
    shape, kept = spec.backbone, 1 - ratio
    full = Presence.full(len(spec.modalities))
    prunable = float(Inventory(spec).unit_flops(full).sum())
    target = _flops(spec) - ratio * prunable

    def misfit(tried: BackboneSpec) -> float:
        uneven = abs(tried.num_heads / shape.num_heads - tried.ffn_dim / shape.ffn_dim)
        return abs(_flops(replace(spec, backbone=tried)) - target) / prunable + _UNEVEN * uneven

    shapes = (
        replace(
            shape,
            num_heads=heads,
            ffn_dim=max(round(shape.ffn_dim * part), 1),
            expert_dim=max(round(shape.expert_dim * part), 1),
        )
        for heads in range(shape.num_kv_heads, shape.num_heads + 1, shape.num_kv_heads)
        for part in np.linspace(0.25 * kept, min(2 * kept, 1.0), 24)
    )
    return min(shapes, key=misfit)


def _flops(spec: ModelSpec) -> int:
    """Of one sample with every modality."""
    inventory = Inventory(spec)
    everything = np.ones(inventory.num_units, dtype=np.bool_)
    return inventory.cost(Presence.full(len(spec.modalities)), everything).flops


def train(config: GridConfig, training: Training, data: Path, folder: Path) -> None:
    """Train a model, going on where an earlier attempt stopped."""
    source = read_source(data, training.data)
    recipe = recipe_of(config, training, source)
    spec = model_spec(source.windows, recipe)
    trainer = Trainer(spec, recipe.training, source.train, source.normalisation)
    run_epochs(trainer, recipe, folder, resume=True)
    model = trainer.averaged
    arrays = {name: tensor.numpy() for name, tensor in model.backbone.state_dict().items()}
    arrays |= {_GATE + name: array for name, array in model.gate.to_arrays().items()}
    partial = folder / f"{_WEIGHTS}.partial"
    save_file({name: np.ascontiguousarray(array) for name, array in arrays.items()}, partial)
    partial.replace(folder / _WEIGHTS)
    (folder / "checkpoint.pt").unlink()


def is_trained(folder: Path) -> bool:
    """Whether a model is there."""
    return (folder / _WEIGHTS).exists()


def load(config: GridConfig, training: Training, source: Source, folder: Path) -> Trained:
    """Read a trained model."""
    torch.set_num_threads(1)
    arrays = load_file(folder / _WEIGHTS)
    backbone = build_backbone(model_spec(source.windows, recipe_of(config, training, source)))
    backbone.load_state_dict(
        {name: torch.from_numpy(a) for name, a in arrays.items() if not name.startswith(_GATE)}
    )
    gate = {name.removeprefix(_GATE): a for name, a in arrays.items() if name.startswith(_GATE)}
    return Trained(backbone.eval(), gate)

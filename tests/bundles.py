"""Random bundles of any spec, without torch: real in every way but trained."""

from __future__ import annotations

import numpy as np

from sentryfuse.accuracy import AccuracyTable
from sentryfuse.bundle import Arrays, Bundle
from sentryfuse.presence import all_presences
from sentryfuse.spec import BackboneSpec, ModalitySpec, ModelSpec, Normalisation, TaskSpec
from sentryfuse.units import Inventory
from sentryfuse.variants.weights import weight_shapes

PERMILLES = (0, 250, 500, 650, 800, 900)


def small_spec(
    shapes: tuple[tuple[int, int], ...] = ((12, 3), (10, 2), (7, 1), (12, 3), (9, 2)),
    *,
    num_classes: int = 4,
    gaps: tuple[int, ...] = (),
    **backbone: int | str,
) -> ModelSpec:
    """Return a spec small enough for tests; ``shapes`` is (length, channels) by modality.

    ``gaps`` are the modalities in whose windows values may be missing. Any field of
    :class:`BackboneSpec` may be given as a keyword.
    """
    small: dict[str, int | str] = {
        "embed_dim": 12,
        "num_heads": 4,
        "num_kv_heads": 2,
        "head_dim": 4,
        "ffn_dim": 16,
        "num_experts": 3,
        "expert_dim": 8,
        "experts_per_token": 3,
        "max_tokens": 5,
    }
    return ModelSpec(
        task=TaskSpec(name="toy", class_names=tuple(f"class-{i}" for i in range(num_classes))),
        modalities=tuple(
            ModalitySpec(
                name=f"sensor_{i}", length=length, channels=channels, rate_hz=25.0, gaps=i in gaps
            )
            for i, (length, channels) in enumerate(shapes)
        ),
        backbone=BackboneSpec(**{**small, **backbone}),  # type: ignore[arg-type]
    )


def wearable_spec(kind: str = "maestro") -> ModelSpec:
    """Return a spec of the size that is shipped: five sensors of 125 x 9, 19 classes."""
    names = ("torso", "right_arm", "left_arm", "right_leg", "left_leg")
    return ModelSpec(
        task=TaskSpec(name="activity", class_names=tuple(f"activity-{i}" for i in range(19))),
        modalities=tuple(
            ModalitySpec(name=name, length=125, channels=9, rate_hz=25.0) for name in names
        ),
        backbone=BackboneSpec(kind=kind, embed_dim=96, ffn_dim=384, encoder_layers=1),
    )


def random_bundle(spec: ModelSpec | None = None, *, seed: int = 0) -> Bundle:
    """Return a bundle with random weights, gate and normalisation, and a made-up accuracy table."""
    spec = spec or small_spec()
    rng = np.random.default_rng(seed)
    return Bundle(
        spec=spec,
        normalisation={
            m.name: Normalisation(
                tuple(rng.normal(0.0, 2.0, m.channels).tolist()),
                tuple(rng.uniform(0.5, 3.0, m.channels).tolist()),
            )
            for m in spec.modalities
        },
        weights={name: _random_array(name, s, rng) for name, s in weight_shapes(spec).items()},
        gate_arrays=_random_gate(spec, rng),
        simulator_arrays={},
        accuracy=_falling_accuracy(spec),
        licence="made up for tests",
        training={"seed": seed},
        digest=f"{seed:064x}",
    )


def random_windows(
    spec: ModelSpec, names: tuple[str, ...] | None = None, *, batch: int = 1, seed: int = 0
) -> dict[str, np.ndarray[tuple[int, ...], np.dtype[np.float32]]]:
    """Return raw windows ``[batch, length, channels]`` of these modalities (all by default).

    Where values may be missing, half of them are, and all of the first window's first channel.
    """
    rng = np.random.default_rng(seed)
    windows = {}
    for m in spec.modalities:
        if names is None or m.name in names:
            window = rng.normal(0.5, 2.0, (batch, m.length, m.channels)).astype(np.float32)
            if m.gaps:
                window[rng.random(window.shape) < 0.5] = np.nan
                window[0, :, 0] = np.nan
            windows[m.name] = window
    return windows


def _random_array(
    name: str, shape: tuple[int, ...], rng: np.random.Generator
) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    """Scaled like a trained layer: norms near one, matrices keep the variance of their input."""
    if "norm" in name and name.endswith("weight"):
        return rng.normal(1.0, 0.1, shape).astype(np.float32)
    if name.endswith("variance"):
        return rng.uniform(0.5, 2.0, shape).astype(np.float32)
    scale = shape[-1] ** -0.5 if name.endswith("weight") else 0.1
    return (rng.normal(0.0, 1.0, shape) * scale).astype(np.float32)


def _random_gate(spec: ModelSpec, rng: np.random.Generator) -> Arrays:
    hidden, units = spec.gate_hidden_dim, Inventory(spec).num_units
    shapes = {
        "hidden.weight": (hidden, len(spec.modalities)),
        "hidden.bias": (hidden,),
        "scores.weight": (units, hidden),
        "scores.bias": (units,),
    }
    return {name: rng.normal(0.0, 1.0, s).astype(np.float32) for name, s in shapes.items()}


def _falling_accuracy(spec: ModelSpec) -> AccuracyTable:
    """More sensors are better and more pruning is worse, strictly."""
    size = len(spec.modalities)
    rows = {
        p.bits: tuple(0.9 - 0.05 * p.num_missing - 0.1 * (m / 1000) ** 2 for m in PERMILLES)
        for p in all_presences(size)
    }
    return AccuracyTable(PERMILLES, rows)

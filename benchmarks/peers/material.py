"""What is served and what is asked: the dense graph, windows, and the right answers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.bodies import rounded
from benchmarks.peers.engine.dense_model import DenseModel
from benchmarks.peers.peer import Windows
from sentryfuse.bundle import Bundle, read_bundle
from sentryfuse.data.simulator import WindowSimulator
from sentryfuse.variants import VariantBuilder


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """The same for every system."""

    bundle: Bundle
    graph: Path
    windows: tuple[Windows, ...]
    logits: tuple[NDArray[np.float32], ...]
    """What the graph says of each window."""
    accuracies: dict[str, float]
    """Expected with all sensors, by pruning ratio in thousandths, from the bundle's table."""


def make_material(bundle_path: Path, folder: Path, *, windows: int) -> Material:
    """Write the graph of the bundle's dense variant, and draw windows from its simulator.

    Args:
        bundle_path: The bundle.
        folder: Where the graph goes.
        windows: How many different ones.
    """
    bundle = read_bundle(bundle_path)
    builder, everything = VariantBuilder(bundle), bundle.spec.full_presence
    graph = folder / "dense.onnx"
    graph.write_bytes(builder.graph(builder.mask(everything, 0.0)))
    simulator = WindowSimulator.from_arrays(bundle.simulator_arrays, bundle.spec)
    classes = len(bundle.spec.task.class_names)
    drawn = []
    for i in range(windows):
        _, window = simulator.window(i % classes, np.random.default_rng(i))
        # As they will be sent: JSON has few digits, and everybody shall get the same numbers.
        drawn.append({n: rounded(np.nan_to_num(v)).astype("f4") for n, v in window.items()})
    model = DenseModel(graph)
    logits = tuple(model.run({n: w[None] for n, w in window.items()})[0] for window in drawn)
    permilles = (0, 250, 500, 650, 800, 900)
    masks = {p: builder.mask(everything, p / 1000) for p in permilles}
    return Material(
        bundle=bundle,
        graph=graph,
        windows=tuple(drawn),
        logits=logits,
        accuracies={
            f"{p:03d}": builder.build(mask).card.expected_accuracy for p, mask in masks.items()
        },
    )

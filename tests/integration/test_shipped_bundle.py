"""The bundles in ``models/``, on the real recordings that they were trained for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sentryfuse.bundle import Bundle, read_bundle
from sentryfuse.data.simulator import WindowSimulator
from sentryfuse.data.windows import WindowSet, load_windows
from sentryfuse.presence import Presence
from sentryfuse.variants import VariantBuilder
from tests.real_data import real_data

SHIPPED = Path("models/dsads-maestro/1")
ALL = sorted(Path("models").glob("*/*"))
BYTES = 6_000_000


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return read_bundle(SHIPPED)


@pytest.fixture(scope="module")
def builder(bundle: Bundle) -> VariantBuilder:
    return VariantBuilder(bundle)


@pytest.fixture(scope="module")
def recordings() -> WindowSet:
    """A quarter of the test subjects' windows."""
    windows = load_windows(real_data("dsads")).of_groups((7, 8))
    return windows.subset(np.arange(0, len(windows), 4))


def accuracy(
    builder: VariantBuilder, windows: WindowSet, presence: Presence, ratio: float
) -> float:
    variant = builder.build(builder.mask(presence, ratio))
    names = presence.names(builder.bundle.spec.modality_names)
    logits = variant.run({n: windows.arrays[n].astype(np.float32) for n in names})
    return float((logits.argmax(axis=1) == windows.label).mean())


def test_there_is_one_for_each_of_the_three_data_sets() -> None:
    tasks = {read_bundle(path).spec.task.name for path in ALL}
    assert tasks == {"dsads", "hydraulic", "stress_predict"}


@pytest.mark.parametrize("path", ALL, ids=str)
def test_a_bundle_is_small_and_says_how_it_was_made(path: Path) -> None:
    bundle = read_bundle(path)
    split = bundle.training["split"]
    assert sum(f.stat().st_size for f in path.iterdir()) <= BYTES
    assert not {*split["test"]} & {*split["train"], *split["val"]}
    assert bundle.training["command"].startswith("sentryfuse ")
    assert bundle.training["commit"] != "unknown"
    assert "CC BY 4.0" in bundle.licence


def answers(name: str, ratio: float) -> tuple[np.ndarray, np.ndarray]:
    """Logits of a shipped bundle for the test groups of its data, and their labels."""
    builder = VariantBuilder(read_bundle(Path("models") / name / "1"))
    spec = builder.bundle.spec
    groups = tuple(builder.bundle.training["split"]["test"])
    windows = load_windows(real_data(spec.task.name)).of_groups(groups)
    variant = builder.build(builder.mask(spec.full_presence, ratio))
    return variant.run({n: a.astype(np.float32) for n, a in windows.arrays.items()}), windows.label


@pytest.mark.data
def test_states_of_a_rig_never_seen_are_recognised_with_four_fifths_pruned() -> None:
    logits, label = answers("hydraulic-maestro", 0.8)
    assert (logits.argmax(axis=1) == label).mean() >= 0.85


@pytest.mark.data
def test_stress_of_people_never_seen_scores_above_rest_with_four_fifths_pruned() -> None:
    logits, label = answers("stress_predict-flexmoe", 0.8)
    score = logits[:, 1] - logits[:, 0]
    above = np.greater.outer(score[label == 1], score[label == 0])
    assert above.mean() >= 0.68  # the AUROC


def test_a_pruned_variant_recognises_its_own_simulated_samples(builder: VariantBuilder) -> None:
    bundle, rng = builder.bundle, np.random.default_rng(0)
    simulator = WindowSimulator.from_arrays(bundle.simulator_arrays, bundle.spec)
    drawn = [simulator.window(None, rng) for _ in range(100)]
    variant = builder.build(builder.mask(bundle.spec.full_presence, 0.8))
    stacked = {n: np.stack([w[n] for _, w in drawn]) for n in bundle.spec.modality_names}
    hits = variant.run(stacked).argmax(axis=1) == [label for label, _ in drawn]
    assert hits.mean() > 0.7


@pytest.mark.data
@pytest.mark.parametrize(("bits", "floor"), [(0b11111, 0.86), (0b01101, 0.86)])
def test_unseen_subjects_are_recognised(
    builder: VariantBuilder, recordings: WindowSet, bits: int, floor: float
) -> None:
    assert accuracy(builder, recordings, Presence(bits, 5), 0.0) >= floor


@pytest.mark.data
def test_pruning_four_fifths_costs_little(builder: VariantBuilder, recordings: WindowSet) -> None:
    full = builder.bundle.spec.full_presence
    dense, pruned = (accuracy(builder, recordings, full, ratio) for ratio in (0.0, 0.8))
    assert pruned >= dense - 0.02

"""How well the unpruned models of one data set tell its classes apart, on test groups never seen.

One bundle for each seed of one recipe; every modality is present and nothing is pruned. Two
classes are judged by AUROC, more by accuracy. Run:

    python benchmarks/best_dense.py --data stress_predict.npz --baseline 0.740 runs/seed0 runs/seed1
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from sentryfuse.bench import Record
from sentryfuse.bundle import read_bundle
from sentryfuse.data.splits import recommended_split
from sentryfuse.data.windows import WindowSet, load_windows
from sentryfuse.variants import VariantBuilder

BATCH = 8

Floats = NDArray[np.floating]
Labels = NDArray[np.integer]


def answers(bundle: Path, windows: WindowSet) -> Floats:
    """Logits ``[windows, classes]`` through the serving engine."""
    builder = VariantBuilder(read_bundle(bundle))
    spec = builder.bundle.spec
    variant = builder.build(builder.mask(spec.full_presence, 0.0))
    parts = []
    for start in track(range(0, len(windows), BATCH), description=str(bundle)):
        inputs = {}
        for modality in spec.modalities:
            raw = windows.arrays[modality.name][start : start + BATCH].astype(np.float32)
            normalisation = builder.bundle.normalisation[modality.name]
            absent = np.nan if modality.gaps else np.asarray(normalisation.mean)
            inputs[modality.name] = np.where(np.isfinite(raw), raw, absent).astype(np.float32)
        parts.append(variant.run(inputs))
    return np.concatenate(parts)


def auroc(scores: Floats, positive: NDArray[np.bool_]) -> float:
    """Probability that a positive scores higher than a negative; half of a tie counts."""
    negatives = np.sort(scores[~positive])
    below = np.searchsorted(negatives, scores[positive], side="left")
    not_above = np.searchsorted(negatives, scores[positive], side="right")
    return float((below + not_above).mean() / (2 * len(negatives)))


def measures(logits: Floats, label: Labels, prior: Floats) -> dict[str, float]:
    """Score logits ``[windows, classes]``.

    AUROC is the mean over classes, each against the rest. Balanced accuracy is given for the
    answers as served, and for those of a model to which all classes are equally likely
    beforehand: without the logarithm of the training groups' ``prior``.
    """
    shifted = logits - logits.max(axis=1, keepdims=True)
    probability = np.exp(shifted) / np.exp(shifted).sum(axis=1, keepdims=True)
    classes = np.unique(label)

    def balanced(answer: Labels) -> float:
        return float(np.mean([(answer[label == c] == c).mean() for c in classes]))

    return {
        "auroc": float(np.mean([auroc(probability[:, c], label == c) for c in classes])),
        "accuracy": float((logits.argmax(axis=1) == label).mean()),
        "balanced_accuracy": balanced(logits.argmax(axis=1)),
        "balanced_accuracy_even_prior": balanced((logits - np.log(prior)).argmax(axis=1)),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("bundles", nargs="+", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument(
        "--baseline", type=float, help="what the better simple model reaches on these groups"
    )
    args = parser.parse_args()

    data = load_windows(args.data)
    split = recommended_split(data)
    test, train = data.of_groups(split.test), data.of_groups(split.train)
    prior = np.bincount(train.label, minlength=len(data.class_names)) / len(train)
    record = Record(
        f"best-dense-{data.name}",
        "How well do unpruned models tell the classes of test groups apart, all sensors present?",
        windows=len(test),
        test_groups=len(split.test),
        baseline=args.baseline,
        recipe=read_bundle(args.bundles[0]).training.get("recipe"),
    )
    record.add("bundles", [read_bundle(path).digest for path in args.bundles])
    rows = [measures(answers(path, test), test.label, prior) for path in args.bundles]
    judged_by = "auroc" if len(data.class_names) == 2 else "accuracy"
    for name in rows[0]:
        values = [row[name] for row in rows]
        record.add_samples(name, values, "ratio")
        mean, spread = float(np.mean(values)), float(np.std(values, ddof=len(values) > 1))
        figure = f"best_dense_{data.name}" + ("" if name == judged_by else f"_{name}")
        record.add_figure(
            figure, mean, "ratio", {"std": spread, "seeds": len(values), "first": values[0]}
        )
        print(f"{figure}: {mean:.4f} ± {spread:.4f}", " ".join(f"{v:.4f}" for v in values))
    print("wrote", record.save())


if __name__ == "__main__":
    main()

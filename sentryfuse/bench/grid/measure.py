"""One method on one trained model: test accuracy of every presence at every ratio."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray

from sentryfuse.bench.grid.config import CORRECTED, GridConfig
from sentryfuse.bench.grid.jobs import UNPRUNED, Measurement
from sentryfuse.bench.grid.models import Source, Trained
from sentryfuse.data.normalise import standardise
from sentryfuse.learn.backbones import Backbone
from sentryfuse.learn.backbones.encoder import ModalityEncoder
from sentryfuse.learn.baselines import OURS, Calibration, Pruning, Reference, build_method
from sentryfuse.learn.evaluate import predict
from sentryfuse.presence import Presence, all_presences
from sentryfuse.provenance import current_commit

_DIGITS = 5


def measure(
    config: GridConfig, job: Measurement, source: Source, trained: Trained
) -> dict[str, Any]:
    """Measure a method.

    Returns:
        A record: for each presence and ratio the scores of :func:`metrics` and the FLOPs kept.
    """
    began_s = time.perf_counter()
    held_out = source.windows.of_groups(source.split.test)
    held_out = held_out.subset(
        np.arange(0, len(held_out), config.test_every.get(job.training.data, 1))
    )
    model, arrays = _embedded(trained.backbone, standardise(held_out.arrays, source.normalisation))
    prior = source.class_shares
    rows = []
    for presence, ratio, pruning in _prunings(config, job, source, trained):
        names = presence.names(model.spec.modality_names)
        pruned = model if pruning is None else pruning.apply(model)
        logits = predict(pruned, {name: arrays[name] for name in names})
        rows.append(
            {
                "presence": presence.hex,
                "missing": presence.num_missing,
                "ratio": ratio,
                **metrics(logits, held_out.label, prior),
            }
        )
    return {
        "data": job.training.data,
        "backbone": job.training.backbone,
        "school": job.training.school,
        "seed": job.training.seed,
        "size_ratio": job.training.permille / 1000,
        "method": job.method,
        "draw": job.draw,
        "test_groups": list(source.split.test),
        "test_windows": len(held_out),
        "commit": current_commit(),
        "seconds": round(time.perf_counter() - began_s, 1),
        "rows": rows,
    }


def metrics(
    logits: NDArray[np.float32], label: NDArray[np.int64], prior: NDArray[np.floating]
) -> dict[str, float]:
    """Score answers: accuracy, balanced accuracy, mean F1 over classes, for two classes the AUROC.

    Balanced accuracy is the mean recall of answers that count every class as equally likely
    beforehand: without the logarithm of ``prior`` (logit adjustment, Menon et al. 2021, Eq. 9).
    ``recall`` is the same of the answers as they are. Mean F1 is also called macro-F1. All are
    over the classes that there are labels of.

    Args:
        logits: ``[windows, classes]``.
        label: ``[windows]``.
        prior: Share of each class among the training windows, ``[classes]``, all above 0.
    """
    answer, even = logits.argmax(axis=1), (logits - np.log(prior)).argmax(axis=1)
    classes = np.unique(label)
    hits = np.array([((answer == k) & (label == k)).sum() for k in classes])
    labelled = np.array([(label == k).sum() for k in classes])
    answered = np.array([(answer == k).sum() for k in classes])
    scores = {
        "accuracy": float((answer == label).mean()),
        "recall": float((hits / labelled).mean()),
        "balanced_accuracy": float(np.mean([(even[label == k] == k).mean() for k in classes])),
        # F1 is the hits over the mean of how often a class was the label and how often the answer.
        "f1": float((2 * hits / (labelled + answered)).mean()),
    }
    if logits.shape[1] == 2 and len(classes) == 2:
        scores["auroc"] = auroc(logits[:, 1] - logits[:, 0], label)
    return {name: round(value, _DIGITS) for name, value in scores.items()}


def auroc(score: NDArray[np.floating], label: NDArray[np.int64]) -> float:
    """Probability that a window of class 1 scores above one of class 0 (Mann-Whitney)."""
    from scipy.stats import rankdata

    positive = label == 1
    rank_sum = float(rankdata(score)[positive].sum())
    ones, zeros = int(positive.sum()), int((~positive).sum())
    return (rank_sum - ones * (ones + 1) / 2) / (ones * zeros)


def _embedded(
    model: Backbone, arrays: Mapping[str, NDArray[np.float32]]
) -> tuple[Backbone, dict[str, NDArray[np.float32]]]:
    """Return the model without its patch embeddings, and what these make of the windows.

    No method prunes or corrects an embedding, so that is done once and not for each mask.
    """
    bare, tokens = model.copied(), {}
    for name, encoder in bare.encoders.items():
        assert isinstance(encoder, ModalityEncoder)
        with torch.inference_mode():
            tokens[name] = encoder.embedding(torch.from_numpy(arrays[name])).numpy()
        encoder.embedding = torch.nn.Identity()  # type: ignore[assignment]
    return bare, tokens


def _prunings(
    config: GridConfig, job: Measurement, source: Source, trained: Trained
) -> Iterator[tuple[Presence, float, Pruning | None]]:
    """Yield every presence and ratio with what becomes of the model there; None: it stays."""
    model, size = trained.backbone, len(source.windows.modalities)
    presences = [p for missing in config.missing for p in all_presences(size, missing)]
    if job.method == UNPRUNED:
        ratio = job.training.permille / 1000
        yield from ((presence, ratio, None) for presence in presences)
        return
    method = build_method(job.method.removesuffix(CORRECTED), trained.gate)
    correction = "least_squares" if job.method.endswith(CORRECTED) else "own"
    # The same windows for every method on a model; other chance for each method and draw.
    calibration = _calibration(config, job, source)
    generator = torch.Generator().manual_seed(crc32(job.name.encode()))
    ratios = config.ratios_of(
        baseline_on_ours=job.training.school == "sentryfuse" and not job.method.startswith(OURS),
        seed=job.training.seed,
    )
    ranking = None
    for presence in presences:
        if ranking is None or not method.static:
            ranking = method.ranking(model, calibration, presence, generator)
        reference = Reference(model, calibration, presence)
        for ratio in ratios:
            yield (
                presence,
                ratio,
                method.prune(
                    model,
                    ranking,
                    calibration,
                    presence,
                    ratio,
                    correction,  # type: ignore[arg-type]
                    reference,
                ),
            )


def _calibration(config: GridConfig, job: Measurement, source: Source) -> Calibration:
    calibration = Calibration.draw(
        source.windows,
        source.normalisation,
        groups=source.split.train,
        count=config.calibration_windows,
        generator=torch.Generator().manual_seed(job.training.seed),
    )
    calibration.require_apart_from((*source.split.val, *source.split.test))
    return calibration


def mean_over(rows: list[Mapping[str, Any]], metric: str) -> float:
    """Mean of a score over rows, each presence counting alike."""
    return float(np.mean([row[metric] for row in rows]))

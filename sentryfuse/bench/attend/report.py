"""From points to a record: every timing, and the figures of one length that stands for long."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sentryfuse.bench.attend.measure import BATCHES, BY_HEAD, DENSE, FUSED, GROUPED, OURS, Point
from sentryfuse.bench.record import Record

RECORD = "attend"
LONG = 320
"""Tokens in the fusion at which figures are stated: windows of twenty seconds of the sensors of
the bundle that ships, at its samples per patch."""

_COMPARED = {
    "attend_time_ratio": (OURS, DENSE, 1),
    "attend_time_ratio_batch8": (OURS, DENSE, 8),
    "attend_grouped_time_ratio": (OURS, GROUPED, 1),
    "attend_fused_time_ratio_batch8": (OURS, FUSED, 8),
    "attend_by_head_time_ratio": (BY_HEAD, DENSE, 1),
}


@dataclass(frozen=True)
class Study:
    """Points of several backbones, forms and lengths."""

    points: Sequence[Point]

    @property
    def backbones(self) -> list[str]:
        """In the order in which they were measured."""
        return list(dict.fromkeys(point.backbone for point in self.points))

    @property
    def tokens(self) -> list[int]:
        """Tokens of the fusion, ascending."""
        return sorted({point.fusion_tokens for point in self.points})

    def point(self, backbone: str, form: str, tokens: int) -> Point:
        """Return one point."""
        return next(
            p
            for p in self.points
            if (p.backbone, p.form, p.fusion_tokens) == (backbone, form, tokens)
        )

    def time_ratios(
        self, form: str, other: str, tokens: int, batch: int
    ) -> dict[str, NDArray[np.float64]]:
        """Time of a form over another's, round by round, for each backbone."""
        return {
            backbone: self.point(backbone, form, tokens).ratio_to(
                self.point(backbone, other, tokens), batch
            )
            for backbone in self.backbones
        }

    def flops_ratios(self, form: str, other: str, tokens: int) -> dict[str, float]:
        """FLOPs of a form over another's, for each backbone."""
        return {
            backbone: self.point(backbone, form, tokens).flops
            / self.point(backbone, other, tokens).flops
            for backbone in self.backbones
        }


def write_record(study: Study, *, shapes: Mapping[str, object], rounds: int) -> Record:
    """Put every sample and all figures into a record; means over backbones are geometric."""
    record = Record(
        RECORD,
        "What do dense, grouped and sparse attention cost, as whole models in the serving engine?",
        shapes=shapes,
        figures_at_fusion_tokens=LONG,
        threads=1,
        rounds=rounds,
        sensors="five, all present, unpruned",
    )
    record.add(
        "points",
        [
            {
                "backbone": p.backbone,
                "form": p.form,
                "fusion_tokens": p.fusion_tokens,
                "encoder_tokens": p.encoder_tokens,
                "flops": p.flops,
                "memory_bytes": p.memory_bytes,
            }
            for p in study.points
        ],
    )
    for p in study.points:
        for batch in BATCHES:
            name = f"{p.backbone}_{p.form}_{p.fusion_tokens}_batch{batch}_seconds"
            record.add_samples(name, p.seconds[batch], "s")
    for name, (form, other) in {
        "attend_gflops_ratio": (OURS, DENSE),
        "attend_grouped_gflops_ratio": (OURS, GROUPED),
        "attend_by_head_gflops_ratio": (BY_HEAD, DENSE),
    }.items():
        flops = study.flops_ratios(form, other, LONG)
        record.add_figure(name, _geometric(list(flops.values())), "ratio", flops)
    sizes = [
        study.point(b, OURS, LONG).memory_bytes / study.point(b, DENSE, LONG).memory_bytes
        for b in study.backbones
    ]
    record.add_figure("attend_bytes_ratio", _geometric(sizes), "ratio")
    for name, (form, other, batch) in _COMPARED.items():
        ratios = study.time_ratios(form, other, LONG, batch)
        together = np.exp(np.mean(np.log(list(ratios.values())), axis=0))  # by round
        low, high = np.quantile(together, [0.25, 0.75])
        medians = {backbone: float(np.median(r)) for backbone, r in ratios.items()}
        spread = {"q25": float(low), "q75": float(high), **medians}
        record.add_figure(name, float(np.median(together)), "ratio", spread)
    for backbone, ratio in study.time_ratios(OURS, DENSE, LONG, 1).items():
        low, high = np.quantile(ratio, [0.25, 0.75])
        spread = {"q25": float(low), "q75": float(high), "n": len(ratio)}
        record.add_figure(f"attend_time_ratio_{backbone}", float(np.median(ratio)), "ratio", spread)
        flop_ratio = study.flops_ratios(OURS, DENSE, LONG)[backbone]
        record.add_figure(f"attend_gflops_ratio_{backbone}", flop_ratio, "ratio")
    return record


def _geometric(values: Sequence[float]) -> float:
    return float(np.exp(np.mean(np.log(values))))

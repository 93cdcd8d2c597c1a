"""From turns to figures: medians, and ours over the best of the others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.peers.rounds import LOOP
from sentryfuse.bench import Record

Turns = Mapping[str, Sequence[Mapping[str, Any]]]
"""By system: one entry for each turn."""

OURS, OURS_JSON, OURS_FREE, OURS_FRUGAL = "ours", "ours-json", "ours-free", "ours-frugal"
_OURS = (OURS, OURS_JSON, OURS_FREE, OURS_FRUGAL)


@dataclass(frozen=True, slots=True)
class Ratio:
    """One quantity of ours over that of the best peer."""

    figure: str
    quantity: str
    more_is_better: bool
    of: str = OURS


RATIOS = (
    Ratio("peer_throughput_ratio", "kept_hz", True),
    Ratio("peer_deadline_throughput_ratio", "kept_hz", True, OURS_FREE),
    Ratio("peer_saturated_ratio", "saturated_hz", True),
    Ratio("peer_p50_ratio", "one_p50_s", False),
    Ratio("peer_p99_ratio", "one_p99_s", False),
    Ratio("peer_memory_ratio", "pss_bytes", False),
    Ratio("peer_ready_ratio", "ready_s", False),
    Ratio("peer_cpu_seconds_ratio", "saturated_cpu_s", False, OURS_FRUGAL),
    Ratio("peer_dense_cpu_seconds_ratio", "saturated_cpu_s", False),
    Ratio("peer_one_client_cpu_seconds_ratio", "one_cpu_s", False),
)

COLUMNS = (
    ("one_p50_s", 1e3, "p50 ms", 2),
    ("one_p99_s", 1e3, "p99 ms", 1),
    ("kept_hz", 1, "in 20 ms /s", 0),
    ("saturated_hz", 1, "saturated /s", 0),
    ("saturated_cpu_s", 1e3, "CPU ms", 2),
    ("one_cpu_s", 1e3, "CPU ms, 1 client", 2),
    ("idle_core_ratio", 100, "idle % core", 1),
    ("pss_bytes", 1e-6, "PSS MB", 0),
    ("rss_bytes", 1e-6, "RSS MB", 0),
    ("ready_s", 1, "ready s", 1),
)
"""Of tables: quantity, factor, heading, decimals."""


def fill(record: Record, turns: Turns, accuracies: Mapping[str, float], *, cores: int) -> None:
    """State every figure that the turns allow.

    Args:
        record: Gets them.
        turns: At least one of :data:`OURS` and of :data:`LOOP`.
        accuracies: Expected, by pruning ratio in thousandths.
        cores: That servers and client share.
    """
    for ratio in RATIOS:
        best = best_peer(turns, ratio.quantity, more_is_better=ratio.more_is_better)
        if best and ratio.of in turns:
            ours, theirs = (_values(turns, n, ratio.quantity) for n in (ratio.of, best))
            _state(record, ratio.figure, _over(ours, theirs), "ratio")
            record.add(f"{ratio.figure}_best_peer", best)
    loop = turns[LOOP]
    _state(
        record,
        "saturated_over_loop",
        _over(_values(turns, OURS, "saturated_hz"), _values(turns, LOOP, "saturated_hz")),
        "ratio",
    )
    _state(record, "saturated_over_loop_if_free", _if_free(turns, cores), "ratio")
    bare_s = [turn["one_p50_s"] for turn in loop]
    for figure, name in (("overhead_binary_seconds", OURS), ("overhead_json_seconds", OURS_JSON)):
        if name in turns:
            answers_s = _values(turns, name, "one_p50_s")
            _state(record, figure, [a - b for a, b in zip(answers_s, bare_s, strict=False)], "s")
    _state(record, "peers_idle_core_ratio", _values(turns, OURS, "idle_core_ratio"), "ratio")
    for figure, name in (("deadline", OURS_FREE), ("frugal", OURS_FRUGAL)):
        changes = [accuracy_change(t["ratios"], accuracies) for t in turns.get(name, ())]
        _state(record, f"peer_{figure}_accuracy_change", changes, "ratio")
    for name, of in turns.items():
        for quantity, value in of[0].items():
            if isinstance(value, int | float):
                record.add_samples(f"{name}.{quantity}", _values(turns, name, quantity), "")
    for quantity, _, _, _ in COLUMNS:  # what the page's table quotes
        for name in turns:
            if quantity in turns[name][0]:
                figure = f"peers_{name.replace('-', '_')}_{quantity}"
                _state(record, figure, _values(turns, name, quantity), _unit(quantity))


def _if_free(turns: Turns, cores: int) -> list[float]:
    """What a server that costs nothing would reach of the loop's rate, beside our client."""
    loop = turns[LOOP]
    costs_s = [
        bare["saturated_cpu_s"] + turn["client_cpu_s"]
        for bare, turn in zip(loop, turns[OURS], strict=False)
    ]
    rates_hz = _values(turns, LOOP, "saturated_hz")
    return [cores / cost_s / hz for cost_s, hz in zip(costs_s, rates_hz, strict=False)]


def best_peer(turns: Turns, quantity: str, *, more_is_better: bool) -> str | None:
    """The system that is best in the median of one quantity, ours and the loop left aside."""
    medians = {
        name: float(np.median(_values(turns, name, quantity)))
        for name in turns
        if name not in (*_OURS, LOOP)
    }
    if not medians:
        return None
    return (max if more_is_better else min)(medians, key=lambda name: medians[name])


def accuracy_change(ratios: Mapping[str, int], accuracies: Mapping[str, float]) -> float:
    """Mean expected accuracy of answers by pruning ratio, less that of the dense variant."""
    answers = sum(ratios.values())
    if not answers:
        return 0.0
    mean = sum(accuracies[ratio] * count for ratio, count in ratios.items()) / answers
    return mean - accuracies["000"]


def table(turns: Turns, titles: Mapping[str, str]) -> tuple[list[str], list[list[str]]]:
    """Medians over turns, a row for each system."""
    rows = []
    for name in turns:
        row = [titles.get(name, "bare session loop")]
        for quantity, factor, _, decimals in COLUMNS:
            known = quantity in turns[name][0]
            value = factor * float(np.median(_values(turns, name, quantity))) if known else 0.0
            row.append(f"{value:.{decimals}f}" if known else "-")
        rows.append(row)
    return ["", *(heading for _, _, heading, _ in COLUMNS)], rows


def _values(turns: Turns, name: str, quantity: str) -> list[float]:
    return [float(turn[quantity]) for turn in turns[name]]


def _over(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Turn by turn; where theirs is nothing there is no ratio."""
    return [a / b for a, b in zip(ours, theirs, strict=False) if b]


def _state(record: Record, figure: str, values: Sequence[float], unit: str) -> None:
    if values:
        spread = {"min": min(values), "max": max(values), "n": len(values)}
        record.add_figure(figure, float(np.median(values)), unit, spread)


def _unit(quantity: str) -> str:
    endings = {"_s": "s", "_hz": "1/s", "_bytes": "B", "_ratio": "ratio"}
    return next(unit for ending, unit in endings.items() if quantity.endswith(ending))

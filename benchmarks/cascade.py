"""Does running a small variant first, and a bigger one where it is unsure, beat one variant?

Cascade and threshold are chosen on validation subjects; the test subjects are looked at once.
All variants of all presences are timed in turn, batch 1 on one thread, and so are whole cascades
with all sensors present, to check that played costs hold. Run:

    python benchmarks/cascade.py --data dsads.npz models/dsads-maestro/1
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from sentryfuse.bench import Record
from sentryfuse.bench.cascade import (
    Answers,
    Axis,
    Cascade,
    Costs,
    Outcome,
    as_they_are,
    between,
    calibration_error,
    drawn_again,
    front,
    gains,
    gains_within,
    play,
)
from sentryfuse.bundle import read_bundle
from sentryfuse.data.splits import recommended_split
from sentryfuse.data.windows import WindowSet, load_windows
from sentryfuse.presence import Presence, all_presences
from sentryfuse.variants import Variant, VariantBuilder

RATIOS = (0.0, 0.25, 0.5, 0.65, 0.8, 0.9)
PATHS = ((0.9, 0.0), (0.9, 0.5), (0.8, 0.0), (0.9, 0.5, 0.0))
THRESHOLDS = (0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95, 0.99)
BATCH = 16
TURNS = 30
CALLS = 6
LIVE_TURNS = 15
LIVE_WINDOWS = 96
RESAMPLES = 1000


def along(path: Sequence[float], threshold: float = 0.0) -> Cascade:
    return Cascade(tuple(map(RATIOS.index, path)), threshold)


SINGLES = tuple(along((ratio,)) for ratio in RATIOS)
OFFERED = tuple(along(path, threshold) for path in PATHS for threshold in THRESHOLDS)
# The full presence comes first in `all_presences`.
SCOPES = {"full": slice(0, 1), "mean": slice(None)}

Variants = list[list[Variant]]
"""By presence, then ratio."""
Played = dict[Cascade, Outcome]


def name_of(cascade: Cascade) -> str:
    path = " > ".join(f"{RATIOS[i]:g}" for i in cascade.variants)
    return path if cascade in SINGLES else f"{path} below {cascade.threshold:g}"


def build_all(builder: VariantBuilder, presences: Sequence[Presence]) -> Variants:
    return [
        [builder.build(builder.mask(presence, ratio)) for ratio in RATIOS]
        for presence in track(presences, description="build")
    ]


def inputs_of(
    windows: WindowSet, names: Sequence[str], rows: slice
) -> dict[str, NDArray[np.float32]]:
    return {name: windows.arrays[name][rows].astype(np.float32) for name in names}


def top_probability(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Largest softmax probability of each row."""
    top: NDArray[np.float32] = 1 / np.exp(logits - logits.max(axis=1, keepdims=True)).sum(axis=1)
    return top


def ask(
    variants: Variants,
    presences: Sequence[Presence],
    names: Sequence[str],
    windows: WindowSet,
    kept: Path,
) -> Answers:
    """Every variant's answers, asked once: an interrupted run goes on with what is left."""
    if not kept.exists():
        shape = (len(presences), len(RATIOS), len(windows))
        hit, top = np.zeros(shape, dtype=bool), np.zeros(shape, dtype=np.float32)
        for i, presence in enumerate(track(presences, description=f"{len(windows)} windows")):
            present = inputs_of(windows, presence.names(names), slice(None))
            for start in range(0, len(windows), BATCH):
                rows = slice(start, start + BATCH)
                inputs = {name: array[rows] for name, array in present.items()}
                for j, variant in enumerate(variants[i]):
                    logits = variant.run(inputs)
                    hit[i, j, rows] = logits.argmax(axis=1) == windows.label[rows]
                    top[i, j, rows] = top_probability(logits)
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, hit=hit, top=top)
    with np.load(kept) as held:
        # Subject by subject and, within, activity by activity: a recording of 48 windows.
        _, recording = np.unique(
            np.stack([windows.group, windows.label]), axis=1, return_inverse=True
        )
        return Answers(held["hit"], held["top"], recording.ravel())


def measure_costs(
    variants: Variants,
    presences: Sequence[Presence],
    names: Sequence[str],
    windows: WindowSet,
    record: Record,
) -> Costs:
    """Median seconds of one window: a few calls of each variant in turn, spread over the run."""
    rng = np.random.default_rng(0)
    samples = np.zeros((len(presences), len(RATIOS), TURNS, CALLS))
    for turn in track(range(TURNS), description="time"):
        for i, presence in enumerate(presences):
            start = int(rng.integers(len(windows)))
            inputs = inputs_of(windows, presence.names(names), slice(start, start + 1))
            for j, variant in enumerate(variants[i]):
                variant.run(inputs)  # the one before left its weights in the processor's cache
                for call in range(CALLS):
                    started = time.perf_counter()
                    variant.run(inputs)
                    samples[i, j, turn, call] = time.perf_counter() - started
    # Medians of single calls: whoever takes the core away hits long calls more often than short
    # ones, and a mean would charge the big variants for it.
    of_turns = np.median(samples, axis=3)
    logits = variants[0][0].run(inputs_of(windows, names, slice(0, 1)))
    decide = []
    for _ in range(1000):
        started = time.perf_counter()
        bool(top_probability(logits)[0] < THRESHOLDS[0])
        decide.append(time.perf_counter() - started)
    for j, ratio in enumerate(RATIOS):
        label = f"rho{round(100 * ratio)}"
        record.add_samples(f"seconds_full_{label}", of_turns[0, j].tolist(), "s")
        record.add_samples(f"seconds_mean_{label}", of_turns[:, j].mean(axis=0).tolist(), "s")
    record.add_samples("decide_seconds", decide[::50], "s")
    flops = np.array([[v.card.flops for v in row] for row in variants], dtype=np.float64)
    return Costs(np.median(samples, axis=(2, 3)), flops, float(np.median(decide)))


def measure_live(
    cascades: Sequence[Cascade],
    variants: Sequence[Variant],
    windows: WindowSet,
    known: Answers,
    costs: Costs,
    record: Record,
) -> None:
    """Run whole cascades in turn on the same windows, all sensors present: do played costs hold?"""
    some = np.arange(0, len(windows), len(windows) // LIVE_WINDOWS)
    names = tuple(m.name for m in windows.modalities)
    seconds = np.zeros((len(cascades), len(some), LIVE_TURNS))
    for turn in track(range(LIVE_TURNS), description="live"):
        for k, window in enumerate(some):
            inputs = inputs_of(windows, names, slice(window, window + 1))
            for c, cascade in enumerate(cascades):
                stages = [variants[i] for i in cascade.variants]
                started = time.perf_counter()
                logits = stages[0].run(inputs)
                for bigger in stages[1:]:
                    if top_probability(logits)[0] >= cascade.threshold:
                        break
                    logits = bigger.run(inputs)
                seconds[c, k, turn] = time.perf_counter() - started
    of_windows = np.median(seconds, axis=2)  # [cascades, windows]
    for cascade, taken in zip(cascades, of_windows, strict=True):
        record.add_samples(f"live_seconds {name_of(cascade)}", taken.tolist(), "s")
    # Against the stages as timed here: the machine's speed is another one by now.
    alone = of_windows[: len(SINGLES)].mean(axis=1)
    here = Costs(alone[None], np.ones_like(alone)[None], costs.decide_seconds)
    same = Answers(
        known.hit[:1, :, some], known.top[:1, :, some], np.zeros(len(some), dtype=np.int64)
    )
    ratios = {
        name_of(cascade): float(taken.mean()) / play(cascade, same, here).mean(slice(None)).seconds
        for cascade, taken in zip(cascades, of_windows, strict=True)
        if cascade not in SINGLES
    }
    record.add("live_over_played", ratios)
    record.add("speed_of_live_over_timed", (alone / costs.seconds[0]).tolist())
    print("live over played:", {name: round(ratio, 3) for name, ratio in ratios.items()})


def points_over(
    own: Outcome, singles: Sequence[Outcome], scope: slice, axis: Axis = "seconds"
) -> float:
    """Points of accuracy over the front of single variants at equal mean cost."""
    return 100 * float(gains(own, singles, scope, as_they_are(own), axis)[0])


def interval(gained: NDArray[np.float64]) -> dict[str, float]:
    """Where a gain lies, in points, when recordings are drawn again."""
    low, high = np.quantile(gained, [0.025, 0.975])
    return {"q025": 100 * float(low), "q975": 100 * float(high)}


def add_points(record: Record, played: dict[str, Played]) -> None:
    """Keep accuracy, costs and gain of everything played, on both parts."""
    points: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    for part, outcomes in played.items():
        singles = [outcomes[c] for c in SINGLES]
        points[part] = {
            scope: {
                name_of(c): {
                    **asdict(own.mean(rows)),
                    "points_over_front": points_over(own, singles, rows),
                    "points_over_front_at_equal_flops": points_over(own, singles, rows, "flops"),
                    **interval(gains(own, singles, rows, drawn_again(own, RESAMPLES))),
                }
                for c, own in outcomes.items()
            }
            for scope, rows in SCOPES.items()
        }
    record.add("points", points)
    for scope, table in points["test"].items():
        print(f"test, {scope}: accuracy, ms, MFLOPs, escalated, points over the front")
        for name, p in table.items():
            before = points["validation"][scope][name]["points_over_front"]
            print(
                f"  {name:24s} {p['accuracy']:.4f} {1e3 * p['seconds']:.3f} {1e-6 * p['flops']:.1f}"
                f" {p['escalated']:.3f} {p['points_over_front']:+.2f}"
                f" [{p['q025']:+.2f}, {p['q975']:+.2f}] (validation {before:+.2f})"
            )


def add_calibration(record: Record, answers: dict[str, Answers]) -> None:
    kept: dict[str, dict[str, dict[str, dict[str, float]]]] = {}
    for part, known in answers.items():
        kept[part] = {}
        for scope, rows in SCOPES.items():
            kept[part][scope] = {}
            for j, ratio in enumerate(RATIOS):
                hit, top = known.hit[rows, j].ravel(), known.top[rows, j].ravel()
                kept[part][scope][f"rho{round(100 * ratio)}"] = {
                    "error": calibration_error(hit, top),
                    "accuracy": float(hit.mean()),
                    "top_probability": float(top.mean(dtype=np.float64)),
                    "top_probability_p95": float(np.quantile(top, 0.95)),
                }
    record.add("calibration", kept)
    for name, measured in kept["test"]["mean"].items():
        spread = {k: v for k, v in measured.items() if k != "error"}
        record.add_figure(f"calibration_error_{name}", measured["error"], "ratio", spread)


def report(record: Record, chosen: Cascade, played: dict[str, Played], test: WindowSet) -> None:
    """State what the cascade chosen on validation does on test."""
    own, singles = played["test"][chosen], [played["test"][c] for c in SINGLES]
    before, singles_before = (
        played["validation"][chosen],
        [played["validation"][c] for c in SINGLES],
    )
    # Recordings are numbered subject by subject.
    subjects = np.unique(np.stack([test.group, test.label]), axis=1)[0]
    for scope, rows in SCOPES.items():
        suffix = "_full" if scope == "full" else ""
        spread = {
            **interval(gains(own, singles, rows, drawn_again(own, RESAMPLES))),
            "validation": points_over(before, singles_before, rows),
            **{
                f"subject_{s}": 100
                * float(gains(own, singles, rows, 1.0 * (subjects == s)[None])[0])
                for s in np.unique(subjects)
            },
            "equal_flops": points_over(own, singles, rows, "flops"),
        }
        value = points_over(own, singles, rows)
        record.add_figure(f"cascade_points_over_single{suffix}", value, "points", spread)
    again = drawn_again(own, RESAMPLES)
    for against, suffix in ((front, "_within"), (between, "_within_no_hindsight")):
        within = gains_within(own, singles, as_they_are(own), against)
        spread = interval(gains_within(own, singles, again, against))
        record.add_figure(
            f"cascade_points_over_single{suffix}", 100 * float(within[0]), "points", spread
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where it resumes from")
    args = parser.parse_args()
    os.nice(5)

    data = load_windows(args.data)
    split = recommended_split(data)
    parts = {"validation": data.of_groups(split.val), "test": data.of_groups(split.test)}
    bundle = read_bundle(args.bundle)
    names = bundle.spec.modality_names
    presences = all_presences(len(names))
    record = Record(
        "cascade",
        "Does a confidence cascade lie above the front of single variants, accuracy against "
        "mean time?",
        bundle=bundle.digest,
        ratios=RATIOS,
        cascades=PATHS,
        thresholds=THRESHOLDS,
        validation_groups=split.val,
        test_groups=split.test,
        windows={part: len(w) for part, w in parts.items()},
        turns=TURNS,
        threads=1,
        batch=1,
    )
    variants = build_all(VariantBuilder(bundle, threads=1), presences)
    answers = {
        part: ask(
            variants,
            presences,
            names,
            windows,
            args.runs / f"cascade-{part}-{bundle.digest[:16]}.npz",
        )
        for part, windows in parts.items()
    }
    costs = measure_costs(variants, presences, names, parts["validation"], record)
    played = {
        part: {c: play(c, known, costs) for c in (*SINGLES, *OFFERED)}
        for part, known in answers.items()
    }
    on_validation = [played["validation"][c] for c in SINGLES]
    chosen = max(
        OFFERED, key=lambda c: points_over(played["validation"][c], on_validation, SCOPES["mean"])
    )
    record.add("chosen", name_of(chosen))
    live = [*SINGLES, chosen, along((0.9, 0.0), 0.7), along((0.9, 0.5, 0.0), 0.7)]
    measure_live(live, variants[0], parts["test"], answers["test"], costs, record)
    add_points(record, played)
    add_calibration(record, answers)
    report(record, chosen, played, parts["test"])
    print("chosen on validation:", name_of(chosen))
    for name, figure in record.figures.items():
        print(f"{name}: {figure['value']:.4g} {figure['unit']} {figure['spread']}")
    print("wrote", record.save())


if __name__ == "__main__":
    main()

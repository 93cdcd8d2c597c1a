"""The serving engine by itself: build time, pruned against unpruned latency, import, memory.

No torch, no HTTP except where the idle service is weighed. Run:

    python benchmarks/engine.py models/dsads-maestro/1
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from rich.progress import track

from sentryfuse.bench import Record
from sentryfuse.bundle import Bundle, read_bundle
from sentryfuse.data.simulator import WindowSimulator
from sentryfuse.presence import Presence, all_presences
from sentryfuse.variants import VariantBuilder

# Not the ratios a service warms, so that every build here is a first one.
UNSEEN_RATIOS = (0.1, 0.3, 0.55, 0.7, 0.85)
ROUNDS = 40
CALLS = 10


def window(bundle: Bundle, presence: Presence) -> dict[str, np.ndarray]:
    simulator = WindowSimulator.from_arrays(bundle.simulator_arrays, bundle.spec)
    _, values = simulator.window(0, np.random.default_rng(0))
    return {n: values[n][None] for n in presence.names(bundle.spec.modality_names)}


def measure_builds(bundle: Bundle, record: Record) -> None:
    """Seconds from gate to a session that can run, for presences and ratios never seen."""
    builder = VariantBuilder(bundle)
    builder.build(builder.mask(bundle.spec.full_presence, 0.5))  # imports and first-use set-up
    seconds = []
    for presence in track(all_presences(len(bundle.spec.modalities)), description="builds"):
        for ratio in UNSEEN_RATIOS:
            started = time.perf_counter()
            builder.build(builder.mask(presence, ratio))
            seconds.append(time.perf_counter() - started)
    record.add_samples("materialise_seconds", seconds, "s")
    quantiles = {"p95": float(np.quantile(seconds, 0.95)), "n": len(seconds)}
    record.add_figure("materialise_seconds_p50", float(np.median(seconds)), "s", quantiles)
    record.add_figure("materialise_seconds_max", max(seconds), "s", quantiles)


def measure_latency(bundle: Bundle, record: Record) -> None:
    """Batch 1, one thread, full presence: unpruned and pruned in turn, round by round."""
    builder = VariantBuilder(bundle)
    presence = bundle.spec.full_presence
    inputs = window(bundle, presence)
    variants = {r: builder.build(builder.mask(presence, r)) for r in (0.0, 0.5, 0.8, 0.9)}
    for variant in variants.values():
        for _ in range(50):
            variant.run(inputs)
    seconds: dict[float, list[float]] = {r: [] for r in variants}
    for _ in track(range(ROUNDS), description="latency"):
        for ratio, variant in variants.items():
            started = time.perf_counter()
            for _ in range(CALLS):
                variant.run(inputs)
            seconds[ratio].append((time.perf_counter() - started) / CALLS)
    for ratio, samples in seconds.items():
        record.add_samples(f"latency_seconds_rho{round(100 * ratio)}", samples, "s")
        record.add(f"flops_rho{round(100 * ratio)}", variants[ratio].card.flops)
    ratios = np.array(seconds[0.0]) / np.array(seconds[0.8])
    record.add_samples("latency_ratio_rho0_over_rho80", ratios.tolist(), "ratio")
    low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75])
    spread = {"q25": float(low), "q75": float(high), "n": len(ratios)}
    record.add_figure("latency_ratio_rho0_over_rho80", float(middle), "ratio", spread)
    record.add_figure("latency_seconds_rho0", float(np.median(seconds[0.0])), "s")
    record.add_figure("latency_seconds_rho80", float(np.median(seconds[0.8])), "s")


def measure_import(record: Record) -> None:
    """Seconds that `import app.main` takes in a fresh interpreter, and that torch stays out."""
    code = (
        "import sys, time; t = time.perf_counter(); import app.main; "
        "print(time.perf_counter() - t, 'torch' in sys.modules)"
    )
    seconds = []
    for _ in range(7):
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        taken, has_torch = done.stdout.split()
        if has_torch != "False":
            raise SystemExit("import app.main imported torch")
        seconds.append(float(taken))
    record.add_samples("import_app_seconds", seconds, "s")
    spread = {"min": min(seconds), "max": max(seconds), "n": len(seconds)}
    record.add_figure("import_app_seconds", float(np.median(seconds)), "s", spread)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    args = parser.parse_args()
    bundle = read_bundle(args.bundle)
    record = Record(
        "engine",
        "How long do variants take to build and to run, and what does importing the service cost?",
        bundle=bundle.digest,
        unseen_ratios=UNSEEN_RATIOS,
        threads=1,
    )
    measure_builds(bundle, record)
    measure_latency(bundle, record)
    measure_import(record)
    for name, figure in record.figures.items():
        print(f"{name}: {figure['value']:.4g} {figure['unit']} {figure['spread']}")
    print("wrote", record.save())


if __name__ == "__main__":
    main()

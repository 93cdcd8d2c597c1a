"""How latency and memory grow with sensors, windows, models, waiting requests and connections.

Starts the real service for every size and asks it. A record and a picture for each:

    python -m benchmarks.growth                    everything, 5 minutes
    python -m benchmarks.growth models queue       some
    python -m benchmarks.growth --draw             pictures anew, from the records

Models other than the shipped one have random weights: times and memory do not depend on them.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.growth.dimensions import (
    DIMENSIONS,
    DROPPING,
    STRICT,
    WHOLE,
    Dimension,
    Ground,
)
from benchmarks.growth.pictures import draw
from benchmarks.growth.point import Point, Stretch, overall, steepest
from loadtests.client import client_process
from sentryfuse.bench import Record


def main(arguments: Sequence[str] | None = None) -> None:
    args = parser().parse_args(arguments)
    for name in args.what or DIMENSIONS:
        dimension = DIMENSIONS[name]
        if not args.draw:
            _measure(name, dimension, args)
        drawn = draw(
            read_points(args.out / "records" / f"growth-{name}.json"),
            dimension.label,
            args.pictures / f"growth-{name}.svg",
        )
        print("drew", drawn)


def parser() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(
        prog="python -m benchmarks.growth",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = found.add_argument
    add("what", nargs="*", choices=[*DIMENSIONS, []], help=f"any of {', '.join(DIMENSIONS)}")
    add("--bundle", type=Path, default=Path("models/dsads-maestro/1"), help="the shipped model")
    add("--seconds", type=float, default=2.5, help="length of each stretch (2.5)")
    add("--sizes", type=int, nargs="+", help="other sizes")
    add("--out", type=Path, default=Path("benchmarks"), help="where records go (benchmarks)")
    add("--pictures", type=Path, default=Path("docs/figures"), help="where pictures go")
    add("--draw", action="store_true", help="only draw what was recorded")
    return found


def _measure(name: str, dimension: Dimension, args: argparse.Namespace) -> None:
    sizes = tuple(args.sizes or dimension.sizes)
    record = Record(
        f"growth-{name}",
        f"How do latency and memory of the service grow with {dimension.label}?",
        sizes=sizes,
        seconds=args.seconds,
        nice=os.nice(0),
    )
    points = []
    with client_process() as submit, tempfile.TemporaryDirectory() as profiles:
        ground = Ground(
            submit=submit, shipped=args.bundle, seconds=args.seconds, profiles=Path(profiles)
        )
        for point in dimension.measure(ground, sizes):
            points.append(point)
            print(f"{name} {point.size:g}: {summary(point)}", flush=True)
    fill(record, name, points)
    print("wrote", record.save(args.out))


def summary(point: Point) -> str:
    """A point in one line."""
    parts = [
        f"ready {point.ready_s:.1f} s, {point.idle_bytes / 1e6:.0f} to "
        f"{point.loaded_bytes / 1e6:.0f} MB"
    ]
    for name, stretch in point.stretches.items():
        parts.append(
            f"{name}: p50 {1e3 * stretch.p50_s:.2f} ms (engine "
            f"{1e3 * stretch.inference_p50_s:.2f}), p99 {1e3 * stretch.p99_s:.2f} ms, "
            f"{stretch.rate_hz:.0f}/s, in time {100 * stretch.in_time / stretch.sent:.0f} %, "
            f"built for {100 * stretch.build_share:.0f} %"
            + (f", {stretch.errors}" if stretch.errors else "")
        )
    return "; ".join(parts)


def fill(record: Record, name: str, points: Sequence[Point]) -> None:
    """State the figures: first and last point, and how the curve bends in between."""
    sizes = [p.size for p in points]

    def figure(what: str, values: Sequence[float], unit: str) -> None:
        spread = {"least": min(values), "most": max(values)}
        record.add_figure(f"growth_{name}_{what}_first", values[0], unit, spread)
        record.add_figure(f"growth_{name}_{what}_last", values[-1], unit, spread)

    for kind in points[0].stretches:
        found = [p.stretches[kind] for p in points]
        short = {WHOLE: "", DROPPING: "dropping_", STRICT: "strict_"}[kind]
        p50_s = [s.p50_s for s in found]
        figure(f"{short}p50_seconds", p50_s, "s")
        figure(f"{short}p99_seconds", [s.p99_s for s in found], "s")
        figure(f"{short}rate", [s.rate_hz for s in found], "1/s")
        figure(f"{short}build_share", [s.build_share for s in found], "ratio")
        figure(f"{short}in_time_share", [s.in_time / s.sent for s in found], "ratio")
        figure(f"{short}unserved", [float(s.sent - s.served) for s in found], "requests")
        record.add_figure(
            f"growth_{name}_{short}p50_exponent",
            overall(sizes, p50_s),
            "exponent",
            {"steepest": steepest(sizes, p50_s)},
        )
    figure("bytes", [float(p.loaded_bytes) for p in points], "B")
    figure("ready_seconds", [p.ready_s for p in points], "s")
    record.add("points", [p.to_json() for p in points])


def read_points(path: Path) -> list[Point]:
    """The points of a record."""
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return [
        Point(**{**p, "stretches": {n: _stretch(s) for n, s in p["stretches"].items()}})
        for p in content["points"]
    ]


def _stretch(recorded: dict[str, Any]) -> Stretch:
    # Records from before requests had budgets: all that is answered is in time.
    return Stretch(**{"in_time": recorded["served"], **recorded})

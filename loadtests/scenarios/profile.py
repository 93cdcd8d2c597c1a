"""How soon does a server with a wrong host profile serve as well as one with a right one?"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from loadtests.bench import Bench
from loadtests.contenders import OURS
from loadtests.score import by_window
from loadtests.trial import Trial, run_trial
from sentryfuse.bench.record import Record
from sentryfuse.variants import HostProfile

RECORD = "loadtest-profile"
ERRORS = {"right": 1.0, "profile-slow": 1.5, "profile-fast": 0.5}
WINDOW = 50
_WITHIN = 0.01


def run(
    bench: Bench,
    *,
    starts: int = 8,
    requests: int = 500,
    rate_hz: float | None = None,
    load: float = 0.6,
    deadline_s: float = 0.025,
    capacity_seconds: float = 6.0,
    seed: int = 0,
) -> Record:
    """Start servers with right and wrong profiles in turns, and load each from its first request.

    Args:
        bench: Where.
        starts: Servers started with each profile.
        requests: Sent to each.
        rate_hz: Requests per second; None for a part of what the smallest variant can carry.
        load: That part.
        deadline_s: Latency budget; requests are strict.
        capacity_seconds: How long the capacity is measured.
        seed: Of the first trace.
    """
    trials: dict[str, list[Trial]] = {name: [] for name in ERRORS}
    with bench.screen.progress() as report, tempfile.TemporaryDirectory() as folder:
        demand = bench.demand(
            rate_hz=rate_hz,
            load=load,
            deadline_s=deadline_s,
            capacity_seconds=capacity_seconds,
            report=report,
        )
        profiles = {name: Path(folder) / name for name in ERRORS} | {"right": bench.profiles}
        for start in range(starts):
            seconds = 1.5 * requests / demand.rate_hz
            trace = bench.trace("poisson", demand, seconds=seconds, seed=seed + start)
            arrivals = trace.arrivals[:requests]
            trace = replace(trace, arrivals=arrivals, duration_s=arrivals[-1].at_s)
            for i, (name, error) in enumerate(ERRORS.items()):
                report("starts", start * len(ERRORS) + i, starts * len(ERRORS), name)
                if not profiles[name].exists():  # the first right one has been measured by then
                    write_scaled(bench.profiles, profiles[name], error)
                with bench.server(profiles=profiles[name]) as server:
                    trials[name].append(
                        run_trial(server, bench.submit, trace, bench.bundle, policy=OURS)
                    )
        report("starts", starts * len(ERRORS), starts * len(ERRORS))
    windows = {name: pooled_windows(found) for name, found in trials.items()}
    record = bench.record(
        RECORD,
        "After how many requests does a server whose host profile is wrong by half keep deadlines "
        "as well as one whose profile is right?",
        demand,
        starts=starts,
        window_requests=WINDOW,
        errors=ERRORS,
    )
    _add_figures(record, windows)
    record.add("attainment_by_window", windows)
    record.add("trials", {n: [t.to_json() for t in found] for n, found in trials.items()})
    bench.screen.table(
        ("profile", *(f"{WINDOW * i + 1}-" for i in range(len(windows["right"]))), "accuracy"),
        [
            [
                name,
                *(f"{w:.3f}" for w in windows[name]),
                f"{np.mean([t.score.serving_accuracy for t in trials[name]]):.4f}",
            ]
            for name in ERRORS
        ],
    )
    return record


def pooled_windows(trials: Sequence[Trial]) -> list[float]:
    """Attainment of each window of requests, over all starts."""
    each = [by_window(t.volley.outcomes, WINDOW) for t in trials]
    return [float(np.mean(column)) for column in zip(*each, strict=True)]


def recovery_requests(wrong: Sequence[float], right: Sequence[float]) -> int:
    """Requests until attainment is back within one point of a right profile's.

    Back it is from the first window that is, if all that follows is too, taken together.

    Args:
        wrong: Attainment by window with a wrong profile.
        right: The same with the right one, on the same traces.

    Returns:
        A multiple of the window; all requests if it never is.
    """
    for i, (attained, wanted) in enumerate(zip(wrong, right, strict=True)):
        rest, rest_wanted = float(np.mean(wrong[i:])), float(np.mean(right[i:]))
        if attained >= wanted - _WITHIN and rest >= rest_wanted - _WITHIN:
            return WINDOW * i
    return WINDOW * len(wrong)


def write_scaled(measured: Path, wrong: Path, factor: float) -> None:
    """Copy the one host profile in a folder with all its latencies multiplied."""
    (source,) = measured.glob("*.json")
    profile = HostProfile.from_json(json.loads(source.read_text(encoding="utf-8")))
    samples = tuple(replace(s, latency_s=factor * s.latency_s) for s in profile.samples)
    wrong.mkdir()
    content = json.dumps(replace(profile, samples=samples).to_json())
    (wrong / source.name).write_text(content, encoding="utf-8")


def _add_figures(record: Record, windows: Mapping[str, Sequence[float]]) -> None:
    right = windows["right"]
    needed = {n: recovery_requests(w, right) for n, w in windows.items() if w is not right}
    spread = {**needed, "attainment_right": float(np.mean(right))}
    record.add_figure("profile_recovery_requests_real", max(needed.values()), "requests", spread)

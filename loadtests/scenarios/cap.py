"""Does the node keep its power cap while it is stepped up and down under load?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

from loadtests.bench import Bench
from loadtests.contenders import OURS
from loadtests.settling import BAND, Phase, mean_power_w, phases
from loadtests.trial import Trial, run_trial
from sentryfuse.bench.policies.traces import Trace
from sentryfuse.bench.record import Record

RECORD = "loadtest-cap"
STEPS = (0.8, 0.9, 0.7, 0.85, 0.75)
_BETWEEN_READINGS_S = 0.25
_UNSETTLED = 0.25  # of the stretch without cap, at its start, while load comes up


def run(
    bench: Bench,
    *,
    steps: Sequence[float] = STEPS,
    step_seconds: float = 25.0,
    free_seconds: float = 10.0,
    rate_hz: float | None = None,
    load: float = 0.5,
    deadline_s: float = 0.05,
    capacity_seconds: float = 6.0,
    seed: int = 0,
) -> Record:
    """Hold a load, see what it draws, then cap it at parts of that, one after the other.

    Args:
        bench: Where.
        steps: Caps: idle power and so much of the active power that the load draws without cap.
        step_seconds: Length of each step.
        free_seconds: Without cap, before and after the steps.
        rate_hz: Requests per second; None for a part of what the smallest variant can carry.
        load: That part.
        deadline_s: Latency budget; requests are strict, so that what the cap leaves no energy
            for is refused.
        capacity_seconds: How long the capacity is measured.
        seed: Of the trace.
    """
    with bench.screen.progress() as report:
        demand = bench.demand(
            rate_hz=rate_hz,
            load=load,
            deadline_s=deadline_s,
            capacity_seconds=capacity_seconds,
            report=report,
        )
        with bench.server() as server:

            def serve(trace: Trace) -> Trial:
                return run_trial(
                    server,
                    bench.submit,
                    trace,
                    bench.bundle,
                    policy=OURS,
                    every_s=_BETWEEN_READINGS_S,
                )

            report("without cap", 0, 1, str(demand))
            free = serve(bench.trace("poisson", demand, seconds=free_seconds, seed=seed + 1))
            free_w = mean_power_w(free.power, _UNSETTLED * free_seconds, free_seconds)
            caps_w = [free.idle_power_w + part * (free_w - free.idle_power_w) for part in steps]
            report("without cap", 1, 1, f"{free_w:.2f} W, {free.idle_power_w:g} W of it idle")
            seconds = 2 * free_seconds + step_seconds * len(steps)
            at_s = [free_seconds + step_seconds * i for i in range(len(steps) + 1)]
            plan = ((0.0, None), *zip(at_s, [*caps_w, None], strict=True))
            report("caps", 0, 1, ", ".join(f"{cap_w:.2f}" for cap_w in caps_w) + " W")
            held = bench.trace("poisson", demand, seconds=seconds, seed=seed)
            trial = serve(replace(held, caps=plan))
            report("caps", 1, 1)
    found = phases(trial.power, trial.caps, seconds)
    record = bench.record(
        RECORD,
        "Does the node keep its power cap while it is stepped up and down under a held load?",
        demand,
        step_seconds=step_seconds,
        free_power_w=free_w,
        idle_power_w=free.idle_power_w,
        caps_w=caps_w,
    )
    _add_figures(record, found)
    record.add("phases", [_phase(p) for p in found])
    record.add("trial", trial.to_json())
    bench.screen.table(
        ("cap W", "before W", "settled after s", "mean W", "error", "seconds above"),
        [_cells(p) for p in found],
    )
    return record


def _add_figures(record: Record, found: Sequence[Phase]) -> None:
    settle_s = [p.to_s - p.from_s if p.settle_s is None else p.settle_s for p in found]
    errors = [p.mean_w / p.cap_w - 1 for p in found]
    settled = [(s.power_w, p.cap_w) for p in found for s in p.settled]
    over = sum(power_w > (1 + BAND) * cap_w for power_w, cap_w in settled)
    never = sum(p.settle_s is None for p in found)
    steps = {"steps": len(found)}
    record.add_figure(
        "cap_settle_seconds", max(settle_s), "s", {**steps, "least": min(settle_s), "never": never}
    )
    record.add_figure("cap_mean_error_ratio", max(errors), "ratio", {**steps, "least": min(errors)})
    record.add_figure(
        "cap_over_seconds_ratio", over / len(settled), "ratio", {"over": over, "n": len(settled)}
    )


def _phase(phase: Phase) -> dict[str, Any]:
    return {**asdict(phase), "mean_w": phase.mean_w}


def _cells(phase: Phase) -> list[str]:
    over = sum(s.power_w > (1 + BAND) * phase.cap_w for s in phase.settled)
    return [
        f"{phase.cap_w:.2f}",
        f"{phase.before_w:.2f}",
        "never" if phase.settle_s is None else f"{phase.settle_s:.2f}",
        f"{phase.mean_w:.2f}",
        f"{100 * (phase.mean_w / phase.cap_w - 1):+.1f} %",
        f"{over} of {len(phase.settled)}",
    ]

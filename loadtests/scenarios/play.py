"""A scenario of a file, played on the real server."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from loadtests.bench import Bench
from loadtests.contenders import OURS
from loadtests.play.arrivals import draw_trace
from loadtests.play.crowd import write_copies
from loadtests.play.page import page
from loadtests.play.pictures import draw
from loadtests.play.series import describe
from loadtests.play.sheet import Sheet
from loadtests.scenarios.overload import split_cores
from loadtests.settling import mean_power_w
from loadtests.trial import Trial, run_trial
from sentryfuse.bench.record import Record

_FREE_S = 5.0
_UNSETTLED = 0.3  # of that, while load comes up
_BETWEEN_READINGS_S = 0.25


def run(
    bench: Bench, sheet: Sheet, *, capacity_seconds: float = 6.0, free_seconds: float = _FREE_S
) -> Record:
    """Play a scenario.

    Args:
        bench: Where.
        sheet: What.
        capacity_seconds: How long the capacity is measured, for a rate that is a part of it.
        free_seconds: How long the load is held without a cap, for caps that are parts of it.
    """
    with ExitStack() as stack:
        report = stack.enter_context(bench.screen.progress())
        models: tuple[str, ...] = ("",)
        settings: dict[str, Any] = {"load_models": bench.model, **sheet.server}
        if sheet.models.count > 1:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="loadtest-")))
            models = write_copies(bench.bundle, folder, sheet.models.count, seed=sheet.seed)
            asked = {"load_models": ",".join(models), "default_model": models[0]}
            settings |= {"models": folder, **asked}
        cores = None
        if sheet.apart:
            cores, others = split_cores()
            bench.submit(os.sched_setaffinity, 0, others).result()
        rate_hz = capacity_hz = None
        if sheet.arrivals.replay is None:
            demand = bench.demand(
                rate_hz=sheet.arrivals.rate_hz,
                load=sheet.arrivals.load or 0.0,
                deadline_s=sheet.requests.deadline_s,
                capacity_seconds=capacity_seconds,
                report=report,
                windows=sheet.requests.windows,
                on_cores=cores,
            )
            rate_hz, capacity_hz = demand.rate_hz, demand.capacity_hz
        report("start", 0, 1)
        server = stack.enter_context(bench.server(on_cores=cores, **settings))
        report("start", 1, 1)

        def play(part: Sheet, free_w: float | None = None) -> Trial:
            trace = draw_trace(
                part,
                rate_hz=rate_hz,
                sensors=bench.bundle.spec.modality_names,
                models=models,
                idle_w=server.power()["idle_power_w"],
                free_w=free_w,
            )
            report(part.name, 0, 1, f"{len(trace.arrivals)} requests in {trace.duration_s:g} s")
            return run_trial(
                server,
                bench.submit,
                trace,
                bench.bundle,
                policy=OURS,
                strict=part.requests.strict,
                every_s=_BETWEEN_READINGS_S,
            )

        quiet = replace(sheet, cap=(), neighbour=(), seed=sheet.seed + 1)
        free_w = None
        if sheet.has_parts:
            free = play(replace(quiet, name="without cap", seconds=free_seconds))
            free_w = mean_power_w(free.power, _UNSETTLED * free_seconds, free_seconds)
            report("without cap", 1, 1, f"{free_w:.2f} W")
        trial = play(sheet, free_w)
        report(sheet.name, 1, 1)
    return _record(bench, sheet, trial, capacity_hz, free_w)


def save(record: Record, sheet: Sheet, source: str, folder: Path) -> tuple[Path, Path]:
    """Write a scenario's page, and its record as one more line of ``plays.jsonl`` beside it.

    Args:
        record: Of :func:`run`.
        sheet: What was played.
        source: Its file, as text.
        folder: Where to.

    Returns:
        The page and the file of lines.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = record.to_json()
    html, lines = folder / f"{sheet.name}.html", folder / "plays.jsonl"
    html.write_text(
        page(
            sheet.name,
            sheet.about,
            facts(content),
            draw(content["series"]),
            source,
            content,
        ),
        encoding="utf-8",
    )
    record.append_line(lines)
    return html, lines


def facts(content: Mapping[str, Any]) -> dict[str, str]:
    """The figures of a record, for people."""
    score, settings = content["score"], content["settings"]
    asked = f"{settings['rate_hz']:.0f}/s" if settings["rate_hz"] else "as in the file"
    if settings["capacity_hz"]:
        asked += f" of {settings['capacity_hz']:.0f}/s that the smallest variant carries"
    return {
        "sent": f"{score['sent']}, {asked}",
        "in time": f"{100 * score['attainment']:.1f} %",
        "in time by the client's clock": f"{100 * score['attainment_client']:.1f} %",
        "late, refused, dropped, failed": f"{score['late']}, {score['shed']}, "
        f"{score['dropped']}, {score['failed']}",
        "expected accuracy of what was in time": f"{score['serving_accuracy']:.3f}",
        "p50, p99 from when each was due": f"{1e3 * score['client_p50_s']:.2f}, "
        f"{1e3 * score['client_p99_s']:.2f} ms",
        "p50, p99 as the server counts": f"{1e3 * score['latency_p50_s']:.2f}, "
        f"{1e3 * score['latency_p99_s']:.2f} ms",
        "energy of an answer (the server's meter)": f"{1e3 * score['energy_j']:.1f} mJ",
        "sent late by, p99": f"{1e3 * score['send_lag_p99_s']:.2f} ms",
        "commit, date": f"{content['commit']}, {content['date']}",
        "machine": f"{content['hardware']['cores']} x {content['hardware']['processor']}",
    }


def _record(
    bench: Bench, sheet: Sheet, trial: Trial, capacity_hz: float | None, free_w: float | None
) -> Record:
    score = trial.score
    record = Record(
        f"play-{sheet.name}",
        sheet.about,
        scenario=sheet.name,
        bundle=bench.bundle.digest,
        rate_hz=None
        if sheet.arrivals.replay
        else len(trial.trace.arrivals) / trial.trace.duration_s,
        capacity_hz=capacity_hz,
        free_w=free_w,
        duration_s=trial.trace.duration_s,
        deadline_s=trial.trace.deadline_s,
        service={k: str(v) for k, v in {**bench.settings, **sheet.server}.items()},
    )
    spread = {"n": score.sent}
    record.add_figure("in_time_ratio", score.attainment, "ratio", spread)
    record.add_figure("in_time_client_ratio", score.attainment_client, "ratio", spread)
    record.add_figure("effective_accuracy", score.effective_accuracy, "ratio", spread)
    record.add_figure("client_p50_s", score.client_p50_s, "s", spread)
    record.add_figure("client_p99_s", score.client_p99_s, "s", spread)
    record.add_figure("refused_ratio", score.shed / score.sent, "ratio", spread)
    record.add_figure("failed", score.failed, "requests", spread)
    record.add_figure("energy_j", score.energy_j, "J", spread)
    record.add("score", score.to_json())
    record.add("series", describe(trial))
    record.add("machine", asdict(trial.machine))
    bench.screen.facts(facts(record.to_json()))
    return record

"""``sentryfuse bench``: comparisons that can be run again."""

from __future__ import annotations

import os
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated

import typer

from sentryfuse.cli import attend, grid
from sentryfuse.cli.options import AsJson, Quiet, epilog
from sentryfuse.cli.screen import Screen
from sentryfuse.errors import ConfigError

if TYPE_CHECKING:
    from sentryfuse.bench.policies.node import Node
    from sentryfuse.bench.policies.overhead import PlanCost
    from sentryfuse.bench.policies.recovery import Recovery
    from sentryfuse.bench.policies.study import Results, Study

app = typer.Typer(
    help="Compare the scheduler and the gate with others.",
    epilog=epilog(
        "sentryfuse bench policies --quick",
        "sentryfuse bench policies --trace bursts-8 --policy fair-price --policy slackfit",
        "sentryfuse bench policies --plot docs/figures",
        "sentryfuse bench grid --config configs/bench/paper144.toml",
        "sentryfuse bench attend",
    ),
)

_QUICK_S = 0.4
_QUICK_STARTS, _STARTS = 3, 100
_LOAD = 0.5  # of the starts from a wrong profile


@app.callback()
def bench() -> None:
    """Compare the scheduler and the gate with others."""


attend.add_to(app)
grid.add_to(app)


@app.command(
    "policies",
    epilog=epilog(
        "sentryfuse bench policies --quick",
        "sentryfuse bench policies --trace bursts-8 --policy fair-price --policy slackfit",
        "sentryfuse bench policies --seed 100 --seed 101",
        "sentryfuse bench policies --measure",
        "sentryfuse bench policies --plot docs/figures",
    )
    + "\n\nWithout --quick, --trace, --policy and --seed the record policies.json and the figures "
    "drawn from it are written; with any of them nothing is. "
    "docs/scheduling.md explains traces, policies and columns.",
)
def policies(
    bundle: Annotated[
        Path, typer.Option(metavar="BUNDLE", help="Bundle whose variants are scheduled.")
    ] = Path("models/dsads-maestro/1"),
    config: Annotated[
        Path, typer.Option(metavar="FILE.toml", help="Traces, loads, deadline and seeds.")
    ] = Path("configs/bench/policies.toml"),
    trace: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Only this trace. May be repeated.")
    ] = None,
    policy: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this policy (the oracle always). May be repeated."),
    ] = None,
    seed: Annotated[
        list[int] | None,
        typer.Option(metavar="N", help="Only this seed: tune on 100 and up. May be repeated."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="One seed and a moment of each trace: does it all run?")
    ] = False,
    measure: Annotated[
        bool,
        typer.Option(
            "--measure", help="Measure this machine first; otherwise the recorded one is simulated."
        ),
    ] = False,
    plot: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Draw the figures of the docs into DIR.")
    ] = None,
    processes: Annotated[
        int, typer.Option(min=0, help="Simulations at a time; 0 for as many as there are cores.")
    ] = 0,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where records and figures.json are kept.")
    ] = Path("benchmarks"),
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Simulate all policies and an oracle.

    Replays request traces on a simulated node. The simulator drives the very scheduler that
    serves. Rivals are fixed variants, INFaaS, SuperServe's SlackFit, MaxAcc and MaxBatch, and
    ALERT. Takes minutes.
    """
    from sentryfuse.bench.policies.report import all_figures, write_record
    from sentryfuse.bench.policies.study import read_study

    screen = Screen(quiet=quiet)
    node = _node(bundle, out, measure=measure, screen=screen)
    whole = read_study(config, node.permilles)
    study = whole.only(trace or (), policy or (), seed or ())
    if quick:
        study = study.shortened(_QUICK_S)
    results, recoveries, cost = _simulate(
        study, node, quick=quick, processes=processes or os.cpu_count() or 1, screen=screen
    )
    found = all_figures(results, recoveries, cost)
    if as_json:
        screen.json(
            {
                "runs": [score.to_json() for score in results.scores],
                "figures": {n: {"value": f.value, "unit": f.unit} for n, f in found.items()},
            }
        )
    else:
        _show(screen, study, results)
        headline = {n: f for n, f in found.items() if not n.startswith("simulated_")}
        screen.facts({n: f"{f.value:.5g} {f.unit}" for n, f in headline.items()})
    if study == whole:
        saved = write_record(study, node, results, recoveries, cost).save(out)
        screen.note(f"wrote {saved}")
    if plot is not None:
        from sentryfuse.bench.policies.plots import draw

        for path in draw(study, node, results, plot):
            screen.note(f"wrote {path}")


def _simulate(
    study: Study, node: Node, *, quick: bool, processes: int, screen: Screen
) -> tuple[Results, tuple[Recovery, ...], PlanCost]:
    """Play every trace, start from wrong profiles, and time the scheduler itself."""
    from sentryfuse.bench.policies.overhead import plan_seconds
    from sentryfuse.bench.policies.recovery import measure_recovery
    from sentryfuse.bench.policies.rivals import OURS
    from sentryfuse.bench.policies.study import run_study

    with screen.progress() as show:
        results = run_study(
            study,
            node,
            processes=processes,
            progress=lambda done, total: show("policies", done, total, "runs"),
        )
        recoveries = (
            measure_recovery(
                node,
                load=_LOAD,
                deadline_s=study.deadline_s,
                seeds=range(1000, 1000 + (_QUICK_STARTS if quick else _STARTS)),
                progress=lambda done, total: show("recovery", done, total, "starts"),
            )
            if OURS in study.policies
            else ()
        )
        return results, recoveries, plan_seconds(node, rounds=200 if quick else 2000)


def _node(bundle_path: Path, out: Path, *, measure: bool, screen: Screen) -> Node:
    from sentryfuse.bench.policies.node import RECORD, measure_host, node_of, read_host
    from sentryfuse.bundle import read_bundle

    bundle = read_bundle(bundle_path)
    path = out / "records" / f"{RECORD}.json"
    if measure:
        with screen.progress() as show:
            record = measure_host(
                bundle, progress=lambda done, total: show("host", done, total, "rounds")
            )
        screen.note(f"wrote {record.save(out)}")
    elif not path.exists():
        raise ConfigError(f"{path} does not exist: measure this machine with --measure")
    profile, scatter = read_host(path)
    return node_of(bundle, profile, scatter)


def _show(screen: Screen, study: Study, results: Results) -> None:
    from sentryfuse.bench.policies.figures import bound_by_trace, effective_by_trace, pool

    bounds = bound_by_trace(results.bounds)
    columns = ("policy", *study.scenes, "mean")
    rows = []
    for policy in study.policies:
        values = effective_by_trace(results.scores, policy)
        rows.append((policy, *_cells([values[trace] for trace in study.scenes])))
    rows.append(("oracle", *_cells([bounds[trace] for trace in study.scenes])))
    screen.say("effective accuracy (late, dropped or refused = wrong), mean over seeds")
    screen.table(columns, rows)
    screen.say("all traces and seeds pooled")
    rows = []
    for policy in study.policies:
        own = [score for score in results.scores if score.policy == policy]
        pooled = pool(policy, own)
        rows.append(
            (
                policy,
                f"{pooled.attainment:.5f}",
                f"{pooled.serving_accuracy:.4f}",
                f"{1e3 * pooled.request_energy_j:.2f}",
                f"{1e3 * median(score.latency_p50_s for score in own):.2f}",
                f"{1e3 * max(score.latency_p99_s for score in own):.2f}",
                f"{sum(score.shed_rate * score.requests for score in own) / pooled.requests:.4f}",
                f"{pooled.cap_over_seconds}/{pooled.cap_seconds}",
            )
        )
    screen.table(
        (
            "policy",
            "attainment",
            "serving accuracy",
            "mJ/answer",
            "p50 ms",
            "worst p99 ms",
            "refused",
            "s over cap",
        ),
        rows,
    )


def _cells(values: list[float]) -> list[str]:
    return [f"{value:.4f}" for value in (*values, sum(values) / len(values))]

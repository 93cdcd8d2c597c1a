"""How well does a table measured on few subjects tell the accuracy on others, raw and smoothed?

Chosen without test subjects: short runs of the shipped recipe are trained on half of subjects
1 to 6 and measured on each of the other half (``held_out.py``, about a quarter of an hour), and
the table of one subject has to tell the table of another. The shipped bundle's table is then
compared once with that of its test subjects, which ``accuracy.py`` measured. Run:

    python benchmarks/expected_accuracy.py --data dsads.npz models/dsads-maestro/1
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from held_out import EPOCHS, SubjectTables, held_out_tables
from numpy.typing import NDArray

from sentryfuse.accuracy import WORTH_WINDOWS, smooth
from sentryfuse.bench import Record
from sentryfuse.bundle import read_bundle

WORTHS = (15.0, 30.0, 45.0, 60.0, 80.0, 120.0, 240.0, 480.0)
ONLY_FALLING = float("inf")
REPEATS = 30

Rows = dict[int, tuple[float, ...]]
Table = NDArray[np.float64]  # [presences, ratios], presences by ascending bits


def table(rows: Rows) -> Table:
    return np.array([rows[bits] for bits in sorted(rows)])


def loss(accuracy: Table) -> Table:
    """What pruning takes, ``[presences, ratios - 1]``."""
    return accuracy[:, :1] - accuracy[:, 1:]


def errors(told: Table, seen: Table) -> dict[str, float]:
    """Mean squares of what was told wrongly.

    One subject is easier than another whatever the presence, which no table can tell:
    ``apart`` leaves that common offset out.
    """
    wrong = told - seen
    return {
        "all": float((wrong**2).mean()),
        "apart": float(((wrong - wrong.mean()) ** 2).mean()),
        "loss": float(((loss(told) - loss(seen)) ** 2).mean()),
    }


def roots(squares: list[dict[str, float]]) -> dict[str, float]:
    """Root mean square errors in points."""
    return {name: 100 * float(np.sqrt(np.mean([s[name] for s in squares]))) for name in squares[0]}


def worth(folds: list[SubjectTables]) -> float:
    """Independent windows whose noise would set subjects as far apart as they are.

    For presences of one size, the variance between two subjects of what sets a presence apart
    from its peers, against a(1 - a).
    """
    binomial, between = 0.0, 0.0
    for subjects in folds:
        sizes = np.array([bits.bit_count() for bits in sorted(next(iter(subjects.values())))])
        for a, b in itertools.combinations(map(table, subjects.values()), 2):
            for size in np.unique(sizes):
                one, other = a[sizes == size], b[sizes == size]
                if len(one) < 2:
                    continue
                means = one.mean(axis=0), other.mean(axis=0)
                binomial += sum(float((m * (1 - m)).sum()) for m in means) / 2
                between += float(np.var(one - other, axis=0, ddof=1).sum()) / 2
    return binomial / between


def choose(folds: list[SubjectTables], record: Record) -> None:
    """Tell each subject's table from each other one's of the same fold."""
    ways: dict[str, Callable[[Rows], Rows]] = {"raw": lambda rows: rows}
    for windows in (*WORTHS, ONLY_FALLING):
        ways[f"worth {windows:g}"] = lambda rows, windows=windows: smooth(
            rows, worth_windows=windows
        )
    study = {}
    for name, way in ways.items():
        by_fold = [
            [
                errors(table(way(one)), table(other))
                for one, other in itertools.permutations(subjects.values(), 2)
            ]
            for subjects in folds
        ]
        study[name] = {
            "folds": [roots(f) for f in by_fold],
            **roots(list(itertools.chain(*by_fold))),
        }
        print(f"{name:12s}", {k: round(v, 2) for k, v in study[name].items() if k != "folds"})
    record.add("rmse_points_of_another_subject", study)
    record.add("held_out_tables", folds)
    estimate = worth(folds)
    spread = {f"fold{i}": worth([fold]) for i, fold in enumerate(folds)}
    record.add_figure("subject_worth_windows", estimate, "windows", spread)


def compare(bundle_path: Path, accuracy: Path, record: Record) -> None:
    """Compare the shipped table, raw and smoothed, with the test subjects'."""
    bundle = read_bundle(bundle_path)
    measured = json.loads(accuracy.read_text(encoding="utf-8"))
    if measured["bundles"][0] != bundle.digest:
        raise SystemExit(f"{accuracy} is not about {bundle_path}: its digest is another")
    seen = table({int(bits, 16): row for bits, row in measured["accuracy"][0].items()})
    permilles = [round(1000 * ratio) for ratio in measured["settings"]["ratios"]]
    columns = [bundle.accuracy.permilles.index(p) for p in permilles]
    raw = table(dict(bundle.accuracy.rows))[:, columns]
    smoothed = table(dict(bundle.accuracy.smoothed.rows))[:, columns]
    for name, told in [("raw", raw), ("smoothed", smoothed)]:
        rmse = roots([errors(told, seen)])
        spread = {k: v for k, v in rmse.items() if k != "all"}
        record.add_figure(f"expected_accuracy_rmse_{name}", rmse["all"], "points", spread)
        record.add_figure(f"expected_loss_rmse_{name}", rmse["loss"], "points")
        gains = int((told[:, 1:].max(axis=1) > told[:, 0]).sum())
        record.add_figure(f"presences_that_gain_by_pruning_{name}", gains, "presences")
    gains = int((seen[:, 1:].max(axis=1) > seen[:, 0]).sum())
    record.add_figure("presences_that_gain_by_pruning_test", gains, "presences")
    moved = 100 * np.abs(smoothed.mean(axis=0) - raw.mean(axis=0))
    record.add_figure("expected_accuracy_mean_moved", float(moved.max()), "points")


def time_it(bundle_path: Path, record: Record) -> None:
    shipped = read_bundle(bundle_path).accuracy.rows
    rng = np.random.default_rng(0)
    many = {bits: tuple(rng.random(7).tolist()) for bits in range(1, 1024)}
    for rows in (shipped, many):
        seconds = []
        for _ in range(REPEATS):
            started = time.perf_counter()
            smooth(rows)
            seconds.append(time.perf_counter() - started)
        name = f"smooth_seconds_{len(rows)}"
        record.add_samples(name, seconds, "s")
        record.add_figure(name, float(np.median(seconds)), "s", {"max": max(seconds)})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--config", type=Path, default=Path("configs/dsads-maestro.toml"))
    parser.add_argument("--runs", type=Path, default=Path("runs/expected-accuracy"))
    parser.add_argument("--accuracy", type=Path, default=Path("benchmarks/records/accuracy.json"))
    args = parser.parse_args()
    os.nice(5)
    record = Record(
        "expected_accuracy",
        "How well does a table measured on few subjects tell the accuracy on others, raw and "
        "smoothed?",
        bundle=read_bundle(args.bundle).digest,
        epochs=EPOCHS,
        worth_windows=WORTH_WINDOWS,
    )
    choose(held_out_tables(args.data, args.config, args.runs), record)
    compare(args.bundle, args.accuracy, record)
    time_it(args.bundle, record)
    for name, figure in record.figures.items():
        print(f"{name}: {figure['value']:.4g} {figure['unit']} {figure['spread']}")
    print("wrote", record.save())


if __name__ == "__main__":
    main()

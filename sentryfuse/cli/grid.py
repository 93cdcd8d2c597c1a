"""``sentryfuse bench grid``: every pruning method on every backbone and data set."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sentryfuse.cli.options import AsJson, Quiet, epilog
from sentryfuse.cli.screen import Screen
from sentryfuse.errors import ConfigError

if TYPE_CHECKING:
    from sentryfuse.bench.grid.cells import Cells
    from sentryfuse.bench.grid.config import GridConfig

EXAMPLES = (
    "sentryfuse bench grid --config configs/bench/smoke.toml --data my/sets",
    "sentryfuse bench grid --config configs/bench/paper144.toml --processes 8",
    "sentryfuse bench grid --config configs/bench/paper144.toml --shard 0/4",
    "sentryfuse bench grid --config configs/bench/paper144.toml --report-only --page "
    "docs/results.md",
)


def add_to(app: typer.Typer) -> None:
    """Make ``grid`` a command of ``bench``."""
    app.command(
        "grid",
        epilog=epilog(*EXAMPLES)
        + "\n\nWhat is done already is not done again: stop it whenever you like and start it "
        "again with the same folders. Several machines that share the folders take a shard each. "
        "docs/results.md explains the comparisons.",
    )(grid)


def grid(
    config: Annotated[
        Path, typer.Option(metavar="FILE.toml", help="What the grid holds.", exists=True)
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            envvar="SENTRYFUSE_DATA",
            help="Folder of the data sets, NAME.npz.",
        ),
    ] = None,
    runs: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Where models are kept. Default: runs/grid-NAME."),
    ] = None,
    records: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Where results are kept, one file each. Default: benchmarks/records/grid/NAME.",
        ),
    ] = None,
    processes: Annotated[
        int, typer.Option(min=0, help="Jobs at a time, a core each; 0 for as many as there are.")
    ] = 0,
    shard: Annotated[
        str,
        typer.Option(
            metavar="I/N",
            envvar="SENTRYFUSE_SHARD",
            help="Work on part I of N, counted from 0: one part for each machine.",
        ),
    ] = "0/1",
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="DATA", help="Only this data set of the grid. May be repeated."),
    ] = None,
    report_only: Annotated[
        bool, typer.Option("--report-only", help="Report what is there; train and measure nothing.")
    ] = False,
    page: Annotated[
        Path | None,
        typer.Option(metavar="FILE.md", help="Put the tables between this page's grid marks."),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Draw accuracy by ratio and by missing.")
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write the record and figures.json into DIR."),
    ] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Train, prune and measure a whole grid, then report it.

    Backbones x data sets x pruning ratios x numbers of missing modalities, every method, every
    seed. Trains what is not trained, measures what is not measured on the test groups, and sums
    up. Needs torch.
    """
    from sentryfuse.bench.grid.cells import Cells
    from sentryfuse.bench.grid.config import read_grid
    from sentryfuse.bench.grid.page import page as words
    from sentryfuse.bench.grid.records import complete_parts, read_records
    from sentryfuse.bench.grid.report import add_figures
    from sentryfuse.bench.grid.run import Places, run_grid
    from sentryfuse.bench.record import Record

    screen = Screen(quiet=quiet)
    study = read_grid(config)
    records = records or Path("benchmarks/records/grid") / study.name
    failed = 0
    if not report_only:
        if data is None:
            raise ConfigError("no folder of data sets: give --data or set SENTRYFUSE_DATA")
        places = Places(
            data=data, runs=runs or Path("runs") / f"grid-{study.name}", records=records
        )
        with screen.progress() as show:
            failed = run_grid(
                study.only(only or ()),
                places,
                processes=processes or os.cpu_count() or 1,
                shard=_shard(shard),
                progress=lambda done, total, message: show("grid", done, total, message),
            )
    measured = read_records(records)
    cells = Cells(measured, study.metric_of)
    record = Record(
        f"grid-{study.name}",
        "Does the gate choose better than the baselines, on ours and on conventional backbones?",
        config=config.name,
    )
    parts = complete_parts(study, measured)
    for part in parts:
        add_figures(record, part)
    if as_json:
        screen.json(dict(record.figures))
    else:
        _show(screen, study, cells)
        screen.facts({n: f"{f['value']:.4f} {f['unit']}" for n, f in record.figures.items()})
    if out is not None and parts:
        screen.note(f"wrote {record.save(out)}")
    if page is not None:
        _fill(page, "\n".join(words(study, measured)))
        screen.note(f"wrote {page}")
    if plot is not None:
        from sentryfuse.bench.grid.plots import draw

        for path in draw(study, cells, plot):
            screen.note(f"wrote {path}")
    if failed:
        screen.note(f"{failed} jobs failed or could not be tried: run it again to try once more")
        raise typer.Exit(1)


def _show(screen: Screen, study: GridConfig, cells: Cells) -> None:
    from sentryfuse.bench.grid.report import rows_of

    for comparison, title in (
        ("a", "(a) each method on the backbone its user would have"),
        ("b", "(b) all methods on the backbone trained for pruning"),
    ):
        for data in study.data:
            screen.say(f"{title}, {data}: mean test accuracy")
            columns, rows = rows_of(study, cells, data, "a" if comparison == "a" else "b")
            screen.table(columns, rows)


def _shard(text: str) -> tuple[int, int]:
    index, _, count = text.partition("/")
    if index.isdigit() and count.isdigit() and int(index) < int(count):
        return int(index), int(count)
    raise ConfigError(f"--shard must be I/N with I below N, such as 0/4, got {text!r}")


def _fill(page: Path, tables: str) -> None:
    """Put the tables between the marks of a page."""
    begin, end = "<!-- grid: begin -->", "<!-- grid: end -->"
    text = page.read_text(encoding="utf-8")
    if begin not in text or end not in text:
        raise ConfigError(f"{page} has no marks {begin} and {end}")
    before, _, rest = text.partition(begin)
    page.write_text(f"{before}{begin}\n{tables}\n{end}{rest.partition(end)[2]}", encoding="utf-8")

"""``sentryfuse bench attend``: dense, grouped and sparse attention in the serving engine."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sentryfuse.cli.options import AsJson, Quiet, epilog
from sentryfuse.cli.screen import Screen

if TYPE_CHECKING:
    from sentryfuse.bench.attend.report import Study

EXAMPLES = (
    "sentryfuse bench attend --tokens 80 --rounds 3",
    "sentryfuse bench attend --config configs/dsads-maestro.toml --tokens 320",
    "sentryfuse bench attend --plot docs/figures",
)
_CONFIGS = tuple(Path(f"configs/dsads-{kind}.toml") for kind in ("maestro", "flexmoe", "fusemoe"))
_TOKENS = (40, 80, 160, 320, 640)


def add_to(app: typer.Typer) -> None:
    """Make ``attend`` a command of ``bench``."""
    app.command(
        "attend",
        epilog=epilog(*EXAMPLES)
        + "\n\nWithout --config and --tokens the record attend.json and its figures are written. "
        "docs/attention.md explains the forms.",
    )(attend)


def attend(
    config: Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE.toml", help="Only the shape of this recipe. May be repeated."),
    ] = None,
    tokens: Annotated[
        list[int] | None,
        typer.Option(metavar="N", min=10, help="Only this many fusion tokens. May be repeated."),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of every form.")] = 15,
    plot: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Draw the figure of the docs into DIR.")
    ] = None,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Where records and figures.json are kept.")
    ] = Path("benchmarks"),
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Time every form of attention at several window lengths.

    Whole models of five sensors, untrained, one thread, batch 1 and 8; all forms run in turn, so
    that a machine that slows down slows all of them. Takes minutes.
    """
    from sentryfuse.bench.attend.measure import measure
    from sentryfuse.bench.attend.report import Study, write_record
    from sentryfuse.learn.settings import Recipe

    screen = Screen(quiet=quiet)
    shapes = [Recipe.from_toml(path).backbone for path in config or _CONFIGS]
    points = []
    with screen.progress() as show:
        for shape in shapes:

            def report(done: int, total: int, kind: str = shape.kind) -> None:
                show(kind, done, total, "lengths")

            points += measure(shape, tokens or _TOKENS, rounds=rounds, progress=report)
    study = Study(points)
    if as_json:
        screen.json([asdict(point) for point in points])
    else:
        _show(screen, study)
    if config is None and tokens is None:
        by_kind = {shape.kind: asdict(shape) for shape in shapes}
        record = write_record(study, shapes=by_kind, rounds=rounds)
        screen.facts({n: f"{f['value']:.4f} {f['unit']}" for n, f in record.figures.items()})
        screen.note(f"wrote {record.save(out)}")
    if plot is not None:
        from sentryfuse.bench.attend.plots import draw

        screen.note(f"wrote {draw(study, plot)}")


def _show(screen: Screen, study: Study) -> None:
    from statistics import median

    columns = ("backbone", "tokens", "form", "GFLOPs", "MB", "ms", "ms a window of 8")
    rows = [
        (
            p.backbone,
            str(p.fusion_tokens),
            p.form,
            f"{1e-9 * p.flops:.4f}",
            f"{1e-6 * p.memory_bytes:.2f}",
            f"{1e3 * median(p.seconds[1]):.3f}",
            f"{1e3 * median(p.seconds[8]) / 8:.3f}",
        )
        for p in study.points
    ]
    screen.table(columns, rows)

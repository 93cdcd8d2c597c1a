"""``sentryfuse train``: from a data set to a bundle."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sentryfuse.cli.options import Quiet, epilog
from sentryfuse.cli.screen import Screen
from sentryfuse.errors import ConfigError

if TYPE_CHECKING:
    from sentryfuse.learn.settings import Recipe
    from sentryfuse.learn.train import TrainingProgress


def train(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command(
        "train",
        epilog=epilog(
            "sentryfuse train --data my.npz --out models/mine/1",
            "sentryfuse train --data my.npz --config configs/smoke.toml --out models/smoke/1",
            "sentryfuse train --data my.npz --out models/mine/2 --epochs 30 --seed 1 --resume",
            "sentryfuse train --data my.npz --out models/paper/1 --no-elastic",
        ),
    )(_train)


def _train(
    data: Annotated[
        Path,
        typer.Option(
            help="Data set of the window format, .npz; no code is needed for a new one.",
            metavar="FILE",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(help="Directory of the bundle to write, as NAME/VERSION.", metavar="DIR"),
    ],
    backbone: Annotated[
        str | None,
        typer.Option(help="Kind of model. Default: the recipe's, else maestro."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="Recipe: shape of the model and training settings, .toml; see configs/.",
            metavar="FILE",
        ),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(min=1, help="Passes over the data. Default: the recipe's.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, help="Seed of everything random. Default: the recipe's.")
    ] = None,
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads to use. Default: the recipe's.")
    ] = None,
    elastic: Annotated[
        bool | None,
        typer.Option(
            "--elastic/--no-elastic",
            help="Also train through pruned models, so that pruning costs little accuracy; "
            "off is the paper's training. Default: the recipe's, else on.",
        ),
    ] = None,
    run_dir: Annotated[
        Path | None,
        typer.Option(
            help="Where checkpoints and the log go. Default: runs/NAME-VERSION.", metavar="DIR"
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run in the run directory, if any.")
    ] = False,
    quiet: Quiet = False,
) -> None:
    """Train a model and its gate on a data set, and write a bundle.

    Weights and normalisation see the training groups only; the accuracy table is measured on the
    validation groups; the test groups are not touched. Needs torch.
    """
    recipe = _recipe(config, backbone, epochs, seed, threads, elastic)
    screen = Screen(quiet=quiet)
    _check_torch()
    from sentryfuse.bundle import read_bundle
    from sentryfuse.learn.train import train_bundle

    with screen.progress() as show:

        def report(progress: TrainingProgress) -> None:
            show(progress.phase, progress.done, progress.total, progress.message)

        train_bundle(
            data,
            out,
            recipe,
            run_dir=run_dir or Path("runs") / "-".join(out.parts[-2:]).strip("/"),
            resume=resume,
            command=_command(data),
            on_progress=report,
        )
    bundle = read_bundle(out)
    accuracy = bundle.accuracy.expected(bundle.spec.full_presence, 0)
    screen.say(f"{out}: accuracy {accuracy:.3f} on validation groups, digest {bundle.digest[:12]}")
    screen.note(f"next: sentryfuse inspect {shlex.quote(str(out))}")


def _recipe(
    config: Path | None,
    backbone: str | None,
    epochs: int | None,
    seed: int | None,
    threads: int | None,
    elastic: bool | None,
) -> Recipe:
    """The recipe of ``--config``, with what other options say in its place."""
    from sentryfuse.learn.settings import Recipe

    recipe = Recipe() if config is None else Recipe.from_toml(config)
    settings = {"epochs": epochs, "seed": seed, "threads": threads, "elastic": elastic}
    given = {name: value for name, value in settings.items() if value is not None}
    shape = recipe.backbone if backbone is None else replace(recipe.backbone, kind=backbone)
    training = replace(recipe.training, **given)  # type: ignore[arg-type]
    return replace(recipe, backbone=shape, training=training)


def _check_torch() -> None:
    from importlib.util import find_spec

    if find_spec("torch") is None:
        raise ConfigError(
            'training needs torch, which is not installed: pip install "sentryfuse[train]"'
        )


def _command(data: Path) -> str:
    """What was typed, for the record; where the data lay on this machine is left out."""
    typed = [data.name if word == str(data) else word for word in sys.argv[1:]]
    return shlex.join(["sentryfuse", *typed])

"""Options that several commands share, and what they mean."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sentryfuse.errors import ConfigError
from sentryfuse.presence import Presence

if TYPE_CHECKING:
    from sentryfuse.spec import ModelSpec

DEFAULT_RATIOS = "0,0.25,0.5,0.65,0.8,0.9"

BundlePath = Annotated[
    Path,
    typer.Argument(metavar="BUNDLE", help="Directory of a bundle, such as models/dsads-maestro/1."),
]
Present = Annotated[
    str | None,
    typer.Option(
        "--present",
        metavar="NAMES",
        help="Modalities that are present, separated by commas. Default: all.",
    ),
]
Ratio = Annotated[
    float,
    typer.Option(
        "--ratio",
        min=0.0,
        max=0.999,
        help="Pruning ratio: part of the prunable compute that is removed.",
    ),
]
Ratios = Annotated[
    str,
    typer.Option("--ratios", metavar="LIST", help="Pruning ratios, separated by commas."),
]
Quiet = Annotated[
    bool, typer.Option("--quiet", "-q", help="Show no progress and no notes, only results.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables and words.")]
Threads = Annotated[
    int, typer.Option("--threads", min=1, help="Threads that one inference may use.")
]
WattsPerCore = Annotated[
    float,
    typer.Option(
        "--watts-per-core",
        min=0.0,
        help="Active power of one busy core, for modelled energy. Put in what your machine draws.",
    ),
]


def epilog(*examples: str) -> str:
    """Return help text that shows examples, one a line."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in examples)])


def parse_presence(spec: ModelSpec, names: str | None) -> Presence:
    """Return the presence that ``--present`` names; all modalities if it was not given.

    Raises:
        typer.BadParameter: A name is unknown, or none was given.
    """
    if names is None:
        return spec.full_presence
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    try:
        return Presence.named(wanted, spec.modality_names)
    except ConfigError as error:
        raise typer.BadParameter(str(error), param_hint="'--present'") from error


def parse_ratios(text: str) -> tuple[int, ...]:
    """Return the ratios of ``--ratios`` in thousandths, ascending.

    Raises:
        typer.BadParameter: One is not a number in [0, 1).
    """
    from sentryfuse.pruning import permille

    try:
        found = {permille(float(part)) for part in text.split(",") if part.strip()}
    except ValueError as error:  # ConfigError is one
        raise typer.BadParameter(str(error), param_hint="'--ratios'") from error
    if not found:
        raise typer.BadParameter("names no ratio", param_hint="'--ratios'")
    return tuple(sorted(found))


def parse_batches(text: str) -> tuple[int, ...]:
    """Return the batch sizes of ``--batches``, ascending.

    Raises:
        typer.BadParameter: One is not a positive whole number.
    """
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise typer.BadParameter(
            f"must be positive whole numbers separated by commas, got {text!r}",
            param_hint="'--batches'",
        )
    return tuple(sorted({int(part) for part in parts}))

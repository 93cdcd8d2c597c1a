"""``sentryfuse profile``: what inference costs on this machine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sentryfuse.cli.options import (
    AsJson,
    BundlePath,
    Quiet,
    Threads,
    epilog,
    parse_batches,
    parse_ratios,
)
from sentryfuse.cli.screen import Screen
from sentryfuse.errors import ConfigError

if TYPE_CHECKING:
    from sentryfuse.variants import HostProfile, VariantBuilder


def profile(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command(
        "profile",
        epilog=epilog(
            "sentryfuse profile models/mine/1",
            "sentryfuse profile models/mine/1 --out profile.json --repeats 100",
            "sentryfuse inspect models/mine/1 --profile profile.json",
        ),
    )(_profile)


def _profile(
    bundle: BundlePath,
    out: Annotated[
        Path | None, typer.Option(help="File to write the profile to, as JSON.", metavar="FILE")
    ] = None,
    ratios: Annotated[
        str, typer.Option(metavar="LIST", help="Pruning ratios to measure, separated by commas.")
    ] = "0,0.5,0.9",
    batches: Annotated[
        str, typer.Option(metavar="LIST", help="Batch sizes to measure, separated by commas.")
    ] = "1,4,16",
    repeats: Annotated[int, typer.Option(min=1, help="Runs for each figure.")] = 20,
    threads: Threads = 1,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Measure how long variants of a bundle take on this machine.

    Takes seconds. Latency and CPU time of other variants and batch sizes are interpolated from
    what is measured here.
    """
    from sentryfuse.bundle import read_bundle
    from sentryfuse.variants import VariantBuilder, profile_host

    screen = Screen(quiet=quiet)
    permilles, sizes = parse_ratios(ratios), parse_batches(batches)
    builder = VariantBuilder(read_bundle(bundle), threads=threads)
    with screen.progress() as show:
        measured = profile_host(
            builder,
            permilles=permilles,
            batches=sizes,
            repeats=repeats,
            progress=lambda done, total: show("profile", done, total, "variants measured"),
        )
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(json.dumps(measured.to_json(), indent=1) + "\n", encoding="utf-8")
        screen.note(f"wrote {out}")
    if as_json:
        screen.json(measured.to_json())
        return
    screen.note(f"host {measured.fingerprint}, bundle {measured.bundle_digest[:12]}")
    screen.table(
        ("GFLOPs", "batch", "ms", "CPU ms"),
        [
            (
                f"{s.flops / 1e9:.4f}",
                str(s.batch),
                f"{1e3 * s.latency_s:.3f}",
                f"{1e3 * s.cpu_s:.3f}",
            )
            for s in sorted(measured.samples, key=lambda s: (s.batch, s.flops))
        ],
    )


def read_profile(path: Path, builder: VariantBuilder) -> HostProfile:
    """Read a profile that ``sentryfuse profile --out`` wrote for this bundle on this host.

    Raises:
        ConfigError: It cannot be read, or is of another bundle or kind of host.
    """
    from sentryfuse.variants import HostProfile, host_fingerprint

    try:
        found = HostProfile.from_json(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:  # ConfigError and a JSON error are ValueErrors
        raise ConfigError(f"{path}: not a host profile: {error}") from error
    if found.bundle_digest != builder.bundle.digest:
        raise ConfigError(f"{path} was measured for another bundle, {found.bundle_digest[:12]}")
    if found.fingerprint != host_fingerprint():
        raise ConfigError(f"{path} was measured on another kind of host, {found.fingerprint}")
    return found

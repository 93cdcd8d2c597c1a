"""``sentryfuse inspect``: what is in a bundle and what its variants cost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sentryfuse.cli.build import describe
from sentryfuse.cli.options import (
    DEFAULT_RATIOS,
    AsJson,
    BundlePath,
    Present,
    Quiet,
    Ratios,
    Threads,
    WattsPerCore,
    epilog,
    parse_presence,
    parse_ratios,
)
from sentryfuse.cli.profile import read_profile
from sentryfuse.cli.screen import Report, Screen
from sentryfuse.energy.cpu_time import WATTS_PER_CORE

if TYPE_CHECKING:
    from sentryfuse.bundle import Bundle
    from sentryfuse.presence import Presence
    from sentryfuse.spec import ModelSpec
    from sentryfuse.variants import HostProfile, VariantBuilder

_QUICK_REPEATS = 10
_COLUMNS = ("present", "ratio", "GFLOPs", "MB", "ms", "mJ", "accuracy")


def inspect(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command(
        "inspect",
        epilog=epilog(
            "sentryfuse inspect models/mine/1",
            "sentryfuse inspect models/mine/1 --missing 2 --ratios 0,0.8",
            "sentryfuse inspect models/mine/1 --present torso,left_leg --watts-per-core 2.5",
            "sentryfuse inspect models/mine/1 --missing all --no-profile --json",
        ),
    )(_inspect)


def _inspect(
    bundle: BundlePath,
    present: Present = None,
    missing: Annotated[
        str,
        typer.Option(
            metavar="N|all",
            help="Show presences with N modalities missing; --present wins over it.",
        ),
    ] = "0",
    ratios: Ratios = DEFAULT_RATIOS,
    profile: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Take ms and mJ from this profile instead of measuring now."
        ),
    ] = None,
    no_profile: Annotated[
        bool, typer.Option("--no-profile", help="Measure nothing; ms and mJ stay empty.")
    ] = False,
    watts_per_core: WattsPerCore = WATTS_PER_CORE,
    threads: Threads = 1,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Show what a bundle is, and a table of its variants.

    ms is the time of one window on this machine; mJ is modelled: its CPU time multiplied by the
    power of a core. Accuracy is what the variant reached on validation data.
    """
    from sentryfuse.bundle import read_bundle
    from sentryfuse.variants import VariantBuilder, profile_host

    screen = Screen(quiet=quiet)
    permilles = parse_ratios(ratios)
    read = read_bundle(bundle)
    builder = VariantBuilder(read, threads=threads)
    presences = _presences(read.spec, present, missing)
    with screen.progress() as show:
        measured = None
        if profile is not None:
            measured = read_profile(profile, builder)
        elif not no_profile:
            measured = profile_host(
                builder,
                permilles=tuple(sorted({permilles[0], permilles[-1]})),
                batches=(1,),
                repeats=_QUICK_REPEATS,
                progress=lambda done, total: show("profile", done, total, "variants measured"),
            )
        variants = _variants(builder, presences, permilles, measured, watts_per_core, show)
    facts = _facts(read)
    if as_json:
        screen.json({**facts, "energy_quality": "modelled", "variants": variants})
        return
    screen.facts(_in_words(read, facts))
    screen.table(_COLUMNS, [_row(variant, read.spec) for variant in variants])
    if measured is not None:
        screen.note(f"mJ is modelled: CPU time x {watts_per_core:g} W per core")
    others = 2 ** len(read.spec.modalities) - 1 - len(presences)
    if others:
        screen.note(f"{others} more presences: --missing all, --missing N or --present NAMES")


def _presences(spec: ModelSpec, present: str | None, missing: str) -> Sequence[Presence]:
    from sentryfuse.presence import all_presences

    size = len(spec.modalities)
    if present is not None:
        return (parse_presence(spec, present),)
    if missing == "all":
        return all_presences(size)
    if not missing.isdecimal() or int(missing) >= size:
        raise typer.BadParameter(
            f"must be 'all' or a number below {size}, got {missing!r}", param_hint="'--missing'"
        )
    return all_presences(size, int(missing))


def _variants(
    builder: VariantBuilder,
    presences: Sequence[Presence],
    permilles: Sequence[int],
    profile: HostProfile | None,
    watts_per_core: float,
    show: Report,
) -> list[dict[str, Any]]:
    variants = []
    for presence in presences:
        for permille in permilles:
            card = builder.build(builder.mask(presence, permille / 1000)).card
            entry = describe(builder.bundle, card)
            del entry["class_names"], entry["bundle_digest"]
            if profile is not None:
                cost = profile.estimate(card.flops, 1)
                entry["latency_s"] = cost.latency_s
                entry["energy_j"] = cost.cpu_s * watts_per_core
            variants.append(entry)
            show("build", len(variants), len(presences) * len(permilles), "variants built")
    return variants


def _facts(bundle: Bundle) -> dict[str, Any]:
    spec = bundle.spec
    return {
        "digest": bundle.digest,
        "task": spec.task.name,
        "class_names": list(spec.task.class_names),
        "backbone": spec.backbone.kind,
        "modalities": [
            {
                "name": m.name,
                "length": m.length,
                "channels": m.channels,
                "rate_hz": m.rate_hz,
                "unit": m.unit,
            }
            for m in spec.modalities
        ],
        "licence": bundle.licence,
        "training": dict(bundle.training),
    }


def _in_words(bundle: Bundle, facts: dict[str, Any]) -> dict[str, object]:
    training = facts["training"]
    names = facts["class_names"]
    return {
        "digest": facts["digest"],
        "task": f"{facts['task']}, {len(names)} classes: {', '.join(names)}",
        "backbone": f"{facts['backbone']}, {_parameters(bundle):,} parameters",
        "modalities": ", ".join(
            f"{m['name']} [{m['length']}, {m['channels']}] at {m['rate_hz']:g} Hz"
            for m in facts["modalities"]
        ),
        "licence": facts["licence"],
        "trained by": training.get("command", ""),
        "trained on": training.get("date", ""),
        "commit": training.get("commit", ""),
    }


def _parameters(bundle: Bundle) -> int:
    return sum(array.size for array in (*bundle.weights.values(), *bundle.gate_arrays.values()))


def _row(variant: dict[str, Any], spec: ModelSpec) -> tuple[str, ...]:
    present = variant["modalities"]
    measured = "latency_s" in variant
    return (
        "all" if len(present) == len(spec.modalities) else ", ".join(present),
        f"{variant['ratio']:g}",
        f"{variant['flops'] / 1e9:.4f}",
        f"{variant['memory_bytes'] / 1e6:.2f}",
        f"{1e3 * variant['latency_s']:.2f}" if measured else "-",
        f"{1e3 * variant['energy_j']:.2f}" if measured else "-",
        f"{variant['expected_accuracy']:.3f}",
    )

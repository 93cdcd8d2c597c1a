"""``sentryfuse build``: one pruned variant as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sentryfuse.cli.options import AsJson, BundlePath, Present, Ratio, epilog, parse_presence
from sentryfuse.cli.screen import Screen

if TYPE_CHECKING:
    from sentryfuse.bundle import Bundle
    from sentryfuse.variants import VariantCard


def build(app: typer.Typer) -> None:
    """Add the command to the tree."""
    app.command(
        "build",
        epilog=epilog(
            "sentryfuse build models/mine/1 --ratio 0.5 --out half.onnx",
            "sentryfuse build models/mine/1 --present torso,left_leg --ratio 0.8 --out small.onnx",
        ),
    )(_build)


def _build(
    bundle: BundlePath,
    out: Annotated[
        Path,
        typer.Option(
            help="ONNX file to write; the card goes beside it as .json.", metavar="FILE.onnx"
        ),
    ],
    present: Present = None,
    ratio: Ratio = 0.0,
    as_json: AsJson = False,
) -> None:
    """Write one pruned variant as an ONNX graph.

    It is the variant for the modalities that are present and a pruning ratio. The graph takes raw
    windows (normalisation is part of it), one input for each present modality, and gives logits.
    Absent modalities are not in it. The card beside it tells what it costs and how accurate it is
    expected to be.
    """
    from sentryfuse.bundle import read_bundle
    from sentryfuse.variants import VariantBuilder

    if out.suffix != ".onnx":
        raise typer.BadParameter(f"must end in .onnx, got {out.name!r}", param_hint="'--out'")
    read = read_bundle(bundle)
    builder = VariantBuilder(read)
    mask = builder.mask(parse_presence(read.spec, present), ratio)
    card = describe(read, builder.build(mask).card)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_bytes(builder.graph(mask))
    card_path = out.with_suffix(".json")
    card_path.write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")
    screen = Screen()
    if as_json:
        screen.json(card)
        return
    screen.facts(
        {
            "graph": out,
            "card": card_path,
            "modalities": ", ".join(card["modalities"]),
            "pruning ratio": card["ratio"],
            "GFLOPs": f"{card['flops'] / 1e9:.4f} ({card['flops_kept_ratio']:.0%} kept)",
            "MB": f"{card['memory_bytes'] / 1e6:.2f} ({card['bytes_kept_ratio']:.0%} kept)",
            "parameters": f"{card['parameters']:,} ({card['parameters_kept_ratio']:.0%} kept)",
            "expected accuracy": f"{card['expected_accuracy']:.3f}",
        }
    )


def describe(bundle: Bundle, card: VariantCard) -> dict[str, Any]:
    """Return a card as JSON data, with the names that its numbers stand for."""
    return {
        "bundle_digest": bundle.digest,
        "modalities": list(card.presence.names(bundle.spec.modality_names)),
        "presence": card.presence.hex,
        "ratio": card.permille / 1000,
        "mask_digest": card.mask_digest,
        "flops": card.flops,
        "parameters": card.parameters,
        "memory_bytes": card.memory_bytes,
        "expected_accuracy": card.expected_accuracy,
        "units_kept_ratio": card.units_kept_ratio,
        "parameters_kept_ratio": card.parameters_kept_ratio,
        "bytes_kept_ratio": card.bytes_kept_ratio,
        "flops_kept_ratio": card.flops_kept_ratio,
        "class_names": list(bundle.spec.task.class_names),
    }

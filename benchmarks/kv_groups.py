"""Does a number of key/value groups for each layer beat one number for all?

Conventionally trained models with a key/value head for each query head are given fewer by
averaging, as in GQA (Ainslie et al. 2023, arXiv 2305.13245), layer by layer:

1. what each layer loses with 4, 2 or 1 groups, all others untouched: cross-entropy on the
   validation groups, every sensor present;
2. the numbers for each layer with the least sum of such losses, at no more FLOPs than one number
   for all costs; found by trying all of them;
3. both, and the model as it was, trained on for an eighth of the epochs;
4. with --afresh, models that have these numbers from the first step, trained as long as the
   whole ones were;
5. each on the test groups, once, with every sensor and with each one missing.

One number for each layer is also one for each modality, since encoders have a layer each. The
models are those of benchmarks/lossless_dense.py, whose --runs folder this reads. Run:

    python benchmarks/kv_groups.py --data folder/of/sets --runs runs/lossless models/*/1
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
import torch
from compared import full_and_one_missing
from lossless_dense import conventional
from torch.nn import functional as F

from sentryfuse.bench import Record
from sentryfuse.bundle import Bundle, read_bundle
from sentryfuse.data.normalise import standardise
from sentryfuse.data.splits import recommended_split
from sentryfuse.data.windows import WindowSet, load_windows
from sentryfuse.learn.backbones import Backbone
from sentryfuse.learn.backbones.encoder import TransformerLayer
from sentryfuse.learn.evaluate import predict
from sentryfuse.learn.loop import GatedModel, Trainer
from sentryfuse.learn.settings import Recipe, TrainingSettings
from sentryfuse.spec import ModelSpec
from sentryfuse.units import Inventory

CHOICES = (8, 4, 2, 1)  # groups
BUDGETS = (4, 2)  # groups of all layers, whose FLOPs the choice by layer may have
TRAINED_ON = 0.125  # of the epochs
STAGES = ("test", "test_trained_on", "test_afresh")
LOWER_RATE = 0.3  # of the learning rate

Groups = dict[str, int]
"""By layer."""
Found = dict[str, Any]
"""What one seed gave, as plain data."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What a model costs with every sensor present."""

    flops: int
    bytes: int


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("bundles", nargs="+", type=Path, help="name the data sets")
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--configs", type=Path, default=Path("configs"), help="their recipes")
    parser.add_argument("--runs", type=Path, default=Path("runs/lossless"))
    parser.add_argument("--afresh", nargs="*", default=[], metavar="SET", help="sets for step 4")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    args = parser.parse_args()

    record = Record(
        "kv-groups",
        "Does a number of key/value groups for each layer beat one number for all?",
        seeds=args.seeds,
        choices=CHOICES,
        trained_on=TRAINED_ON,
        lower_rate=LOWER_RATE,
    )
    for path in args.bundles:
        name = read_bundle(path).spec.task.name
        windows = load_windows(args.data / f"{name}.npz")
        recipe = conventional(Recipe.from_toml(args.configs / f"{path.parent.name}.toml"))
        found = [one_seed(windows, recipe, seed, args.runs) for seed in args.seeds]
        if name in args.afresh:
            for seed, lines in zip(args.seeds, found, strict=True):
                add_afresh(lines, windows, recipe, seed, args.runs)
        record.add(name, found)
        add_figures(record, name, found)
    for name, figure in record.figures.items():
        print(f"{name}: {figure['value']:.4f} {figure['spread']}")
    print("wrote", record.save())


def one_seed(windows: WindowSet, recipe: Recipe, seed: int, runs: Path) -> Found:
    """Do all of it with one model, unless it was done: plain data for the record."""
    kept = runs / f"{windows.name}-groups-seed{seed}.json"
    if not kept.exists():
        bundle = read_bundle(runs / f"{windows.name}-dense-seed{seed}" / "bundle")
        kept.write_text(json.dumps(compare(bundle, windows, recipe)), encoding="utf-8")
    found: Found = json.loads(kept.read_text(encoding="utf-8"))
    return found


def add_afresh(lines: Found, windows: WindowSet, recipe: Recipe, seed: int, runs: Path) -> None:
    """Add the accuracy of each line trained from the first step, unless it was done."""
    kept = runs / f"{windows.name}-afresh-seed{seed}.json"
    if not kept.exists():
        bundle = read_bundle(runs / f"{windows.name}-dense-seed{seed}" / "bundle")
        tables = {"dense": lines["lineup"]["dense"]["test"]}
        test = windows.of_groups(recommended_split(windows).test)
        settings = replace(recipe, training=replace(recipe.training, seed=seed))
        for name, line in lines["lineup"].items():
            if name not in tables:
                print(windows.name, name, "afresh", seed, flush=True)
                model = trained_afresh(bundle, line["groups"], windows, settings)
                tables[name] = accuracies(model, bundle, test)
        kept.write_text(json.dumps(tables), encoding="utf-8")
    for name, table in json.loads(kept.read_text(encoding="utf-8")).items():
        lines["lineup"][name]["test_afresh"] = table


def compare(bundle: Bundle, windows: WindowSet, recipe: Recipe) -> Found:
    """Choose on validation groups, train on, and test."""
    parts = recommended_split(windows)
    val, test = windows.of_groups(parts.val), windows.of_groups(parts.test)
    losses = loss_by_layer(bundle, val)
    layers = list(losses)
    lineup: dict[str, Groups] = {"dense": dict.fromkeys(layers, max(CHOICES))}
    for count in BUDGETS:
        lineup[f"all_{count}"] = dict.fromkeys(layers, count)
        lineup[f"chosen_{count}"] = chosen(bundle.spec, losses, count)
    results: Found = {}
    for name, groups in lineup.items():
        print(windows.name, name, groups, flush=True)
        averaged = regrouped(bundle, groups)
        further = trained_on(bundle, groups, windows, recipe)
        results[name] = {
            "groups": groups,
            "flops": cost(bundle.spec, groups).flops,
            "bytes": cost(bundle.spec, groups).bytes,
            "validation": accuracies(averaged, bundle, val),
            "validation_trained_on": accuracies(further, bundle, val),
            "test": accuracies(averaged, bundle, test),
            "test_trained_on": accuracies(further, bundle, test),
        }
    return {"losses": losses, "lineup": results}


def loss_by_layer(bundle: Bundle, windows: WindowSet) -> dict[str, dict[str, float]]:
    """By layer and number of groups: how much the cross-entropy rises."""
    whole = regrouped(bundle, {})
    before = cross_entropy(whole, bundle, windows)
    table = {}
    for layer in attention_layers(whole):
        table[layer] = {
            str(g): cross_entropy(regrouped(bundle, {layer: g}), bundle, windows) - before
            for g in CHOICES
        }
        print(layer, {g: round(v, 4) for g, v in table[layer].items()}, flush=True)
    return table


def chosen(spec: ModelSpec, losses: Mapping[str, Mapping[str, float]], count: int) -> Groups:
    """Numbers by layer with the least sum of losses, at most as many FLOPs as ``count`` for all."""
    before = cost(spec, {}).flops
    saves = {name: {n: before - cost(spec, {name: n}).flops for n in CHOICES} for name in losses}
    least = sum(saves[name][count] for name in losses)
    ways = (dict(zip(losses, way, strict=True)) for way in product(CHOICES, repeat=len(losses)))
    affordable = (g for g in ways if sum(saves[name][n] for name, n in g.items()) >= least)
    return min(affordable, key=lambda g: sum(losses[name][str(n)] for name, n in g.items()))


def cost(spec: ModelSpec, groups: Groups) -> Cost:
    """Of the whole model, whose layers each have so many groups."""
    inventory, shape = Inventory(spec), spec.backbone
    full = spec.full_presence
    whole = inventory.cost(full, inventory.active(full))
    flops, parameters = whole.flops, whole.parameters
    for layer, count in groups.items():
        saved = 2 * (shape.num_kv_heads - count) * shape.head_dim
        flops -= 2 * tokens_of(spec, layer) * shape.embed_dim * saved
        parameters -= (shape.embed_dim + 1) * saved
    return Cost(flops, 4 * parameters)


def tokens_of(spec: ModelSpec, layer: str) -> int:
    """Tokens that a layer sees, by its place: encoders.NAME.layers.DEPTH or fusion.DEPTH."""
    by_name = {m.name: spec.backbone.encoder_tokens(m) for m in spec.modalities}
    place = layer.split(".")
    if place[0] == "encoders":
        return by_name[place[1]][int(place[-1])]
    return sum(tokens[-1] for tokens in by_name.values())


def attention_layers(model: Backbone) -> dict[str, TransformerLayer]:
    """Layers with attention, by where they stand."""
    return {n: m for n, m in model.named_modules() if isinstance(m, TransformerLayer)}


def regrouped(bundle: Bundle, groups: Groups) -> Backbone:
    """The model with so many groups in these layers, by averaging."""
    model = GatedModel(bundle.spec).backbone
    model.load_state_dict({name: torch.from_numpy(w) for name, w in bundle.weights.items()})
    regroup(model, groups)
    return model.eval()


def regroup(model: Backbone, groups: Groups, *, averaged: bool = True) -> None:
    """Replace each group's keys and values by the means of those of its heads, or by new ones."""
    layers = attention_layers(model)
    for name, count in groups.items():
        old = layers[name].attention
        share = old.num_heads // count
        # A head has its own key/value head so far: those of a group stand side by side.
        new = old._shrunk([head // share for head in range(old.num_heads)])
        new.query, new.output = old.query, old.output
        layers[name].attention = new
        if not averaged:
            continue
        with torch.no_grad():
            for part in ("key", "value"):
                source, target = getattr(old, part), getattr(new, part)
                for own, mean in ((source.weight, target.weight), (source.bias, target.bias)):
                    rows = own.view(count, share, old.head_dim, -1)
                    mean.copy_(rows.mean(dim=1).view_as(mean))


def trained_on(bundle: Bundle, groups: Groups, windows: WindowSet, recipe: Recipe) -> Backbone:
    """The regrouped model after a few more epochs of its own recipe, at a lower rate."""
    settings = replace(
        recipe.training,
        epochs=max(1, round(TRAINED_ON * recipe.training.epochs)),
        learning_rate=LOWER_RATE * recipe.training.learning_rate,
        full_fraction=0.0,
        ramp_fraction=0.0,
    )
    model = GatedModel(bundle.spec)
    model.backbone = regrouped(bundle, groups)
    return after_training(model, bundle, windows, settings)


def trained_afresh(bundle: Bundle, groups: Groups, windows: WindowSet, recipe: Recipe) -> Backbone:
    """A model that has these groups from the first step on."""
    torch.manual_seed(recipe.training.seed)
    model = GatedModel(bundle.spec)
    regroup(model.backbone, groups, averaged=False)
    if bundle.spec.backbone.sample_norm:
        train = windows.of_groups(recommended_split(windows).train)
        model.backbone.fit_samples(standardise(train.arrays, bundle.normalisation))
    return after_training(model, bundle, windows, recipe.training)


def after_training(
    model: GatedModel, bundle: Bundle, windows: WindowSet, settings: TrainingSettings
) -> Backbone:
    """Train on the training groups; return the averaged weights."""
    train = windows.of_groups(recommended_split(windows).train)
    trainer = Trainer(bundle.spec, settings, train, bundle.normalisation, model=model)
    for _ in range(settings.epochs):
        trainer.run_epoch()
    return trainer.averaged.backbone


def cross_entropy(model: Backbone, bundle: Bundle, windows: WindowSet) -> float:
    """Of a model with every sensor."""
    logits = torch.from_numpy(predict(model, standardise(windows.arrays, bundle.normalisation)))
    return float(F.cross_entropy(logits, torch.from_numpy(windows.label)))


def accuracies(model: Backbone, bundle: Bundle, windows: WindowSet) -> dict[str, float]:
    """Accuracy with every sensor and with each one missing, by presence."""
    arrays = standardise(windows.arrays, bundle.normalisation)
    names = bundle.spec.modality_names
    table = {}
    for presence in full_and_one_missing(len(names)):
        logits = predict(model, {n: arrays[n] for n in presence.names(names)})
        table[presence.hex] = float((logits.argmax(axis=1) == windows.label).mean())
    return table


def add_figures(record: Record, name: str, found: Sequence[Found]) -> None:
    """State each line's change against the whole models, mean over presences and seeds.

    A model that was trained on is compared with the whole one that was trained on as long.
    """
    lineups: list[Any] = [seed["lineup"] for seed in found]
    for line in lineups[0]:
        if line != "dense":
            for unit in ("flops", "bytes"):
                ratios = [lineup[line][unit] / lineup["dense"][unit] for lineup in lineups]
                record.add_figure(f"kv_groups_{name}_{line}_{unit}_ratio", fmean(ratios), "ratio")
        for stage in (s for s in STAGES if s in lineups[0][line]):
            suffix = stage.removeprefix("test")
            values = [fmean(lineup[line][stage].values()) for lineup in lineups]
            before = [fmean(lineup["dense"][stage].values()) for lineup in lineups]
            record.add_samples(f"{name}_{line}{suffix}", values, "ratio")
            if line != "dense":
                changes = np.subtract(values, before).tolist()
                spread = {"std": stdev(changes), "seeds": len(changes)}
                figure = f"kv_groups_{name}_{line}{suffix}_delta"
                record.add_figure(figure, fmean(changes), "ratio", spread)


if __name__ == "__main__":
    main()

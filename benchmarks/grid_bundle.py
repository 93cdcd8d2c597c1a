"""Make a bundle of a model that a grid trained, so that it can be served and measured.

The grid keeps its models as plain tensors. Run:

    python benchmarks/grid_bundle.py --data folder/of/sets hydraulic fusemoe 0 runs/hydraulic/1
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from sentryfuse.bench.grid.config import read_grid
from sentryfuse.bench.grid.jobs import Training
from sentryfuse.bench.grid.models import load, read_source, recipe_of
from sentryfuse.bench.grid.run import Places
from sentryfuse.bundle import write_bundle
from sentryfuse.learn.train import make_bundle, training_record


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("set", help="a data set of the grid")
    parser.add_argument("backbone")
    parser.add_argument("seed", type=int)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--config", type=Path, default=Path("configs/bench/paper144.toml"))
    parser.add_argument("--runs", type=Path, help="default: runs/grid-NAME")
    args = parser.parse_args()

    grid = read_grid(args.config)
    model = Training(args.set, args.backbone, "sentryfuse", args.seed)
    folder = Places(args.data, args.runs or Path("runs") / f"grid-{grid.name}", Path()).run(model)
    source = read_source(args.data, args.set)
    trained = load(grid, model, source, folder)
    log = json.loads((folder / "run.json").read_text(encoding="utf-8"))
    recipe = recipe_of(grid, model, source)
    command = f"sentryfuse bench grid --config {args.config} --only {args.set}"
    record = training_record(source.windows, source.split, recipe, command, log)
    bundle = make_bundle(
        trained.backbone,
        trained.gate_arrays,
        source.windows,
        source.split,
        record,
        lambda at: print(f"{at.done} of {at.total} {at.message}", end="\r", flush=True),
    )
    print(f"wrote {args.out}, digest {write_bundle(bundle, args.out)}")


if __name__ == "__main__":
    main()

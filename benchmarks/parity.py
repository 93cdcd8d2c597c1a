"""Do masked torch model, sliced torch model and ONNX variant agree, for a whole bundle?

Every presence and default ratio of the bundle, on simulated windows. Run:

    python benchmarks/parity.py models/dsads-maestro/1
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from torch.utils.flop_counter import FlopCounterMode

from sentryfuse.bench import Record
from sentryfuse.bundle import read_bundle
from sentryfuse.data.normalise import standardise
from sentryfuse.data.simulator import WindowSimulator
from sentryfuse.learn.backbones import build_backbone
from sentryfuse.presence import all_presences
from sentryfuse.variants import VariantBuilder

RATIOS = (0.0, 0.25, 0.5, 0.65, 0.8, 0.9)
WINDOWS = 8


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    args = parser.parse_args()

    bundle = read_bundle(args.bundle)
    builder = VariantBuilder(bundle)
    spec = bundle.spec
    model = build_backbone(spec).eval()
    model.load_state_dict({k: torch.from_numpy(v.copy()) for k, v in bundle.weights.items()})
    exact = build_backbone(spec).eval()
    exact.load_state_dict(model.state_dict())
    exact.double()

    rng = np.random.default_rng(0)
    simulator = WindowSimulator.from_arrays(bundle.simulator_arrays, spec)
    drawn = [simulator.window(None, rng)[1] for _ in range(WINDOWS)]
    raw = {n: np.stack([w[n] for w in drawn]) for n in spec.modality_names}
    standard = {k: torch.from_numpy(v) for k, v in standardise(raw, bundle.normalisation).items()}

    onnx_gaps, sliced_gaps, flop_gaps = [], [], []
    for presence in track(all_presences(len(spec.modalities)), description="presences"):
        names = presence.names(spec.modality_names)
        inputs = {n: standard[n] for n in names}
        doubles = {n: x.double() for n, x in inputs.items()}
        for ratio in RATIOS:
            mask = builder.mask(presence, ratio)
            scale = torch.from_numpy(mask.keep.astype(np.float32))
            sliced = model.select(presence, mask.keep)
            with torch.no_grad():
                masked_logits = model(inputs, scale).numpy()
                gap = exact(doubles, scale.double()) - exact.select(presence, mask.keep)(doubles)
                with FlopCounterMode(display=False) as counter:
                    sliced({n: x[:1] for n, x in inputs.items()})
            answer = builder.build(mask).run({n: raw[n] for n in names})
            onnx_gaps.append(float(np.abs(answer - masked_logits).max()))
            sliced_gaps.append(float(gap.abs().max()))
            flops = builder.inventory.cost(presence, mask.keep).flops
            flop_gaps.append(abs(counter.get_total_flops() - flops) / flops)

    record = Record(
        "parity",
        "Do the masked model, the sliced model and the served graph compute the same?",
        bundle=bundle.digest,
        ratios=RATIOS,
        windows=WINDOWS,
    )
    for name, gaps, unit in [
        ("parity_logits_max_abs", onnx_gaps, "logit"),
        ("parity_sliced_max_abs", sliced_gaps, "logit"),
        ("flops_relative_error", flop_gaps, "ratio"),
    ]:
        record.add_samples(name, gaps, unit)
        record.add_figure(name, max(gaps), unit, {"median": float(np.median(gaps)), "n": len(gaps)})
        print(f"{name}: worst {max(gaps):.3g} of {len(gaps)}")
    print("wrote", record.save())


if __name__ == "__main__":
    main()

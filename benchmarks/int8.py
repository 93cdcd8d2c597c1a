"""Does INT8 beat pruning, or add to it? ONNX Runtime's quantisation of a bundle's variants.

Dynamic (weights beforehand, activations on the way) and static (scales from training windows),
weights per channel, for several sets of sensors and pruning ratios: latency in turns, bytes, and
accuracy on the validation groups. The test groups are not touched. Needs the extra `test`. Run:

    python benchmarks/int8.py --data dsads.npz models/dsads-maestro/1
"""

from __future__ import annotations

import argparse
import json
import logging
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_dynamic,
    quantize_static,
)
from rich.progress import track

from sentryfuse.bench import Record
from sentryfuse.bundle import Bundle, read_bundle
from sentryfuse.data.splits import recommended_split
from sentryfuse.data.windows import WindowSet, load_windows
from sentryfuse.presence import Presence
from sentryfuse.variants import VariantBuilder
from sentryfuse.variants.engine import onnxruntime
from sentryfuse.variants.variant import open_session

FP32, DYNAMIC, STATIC = "fp32", "dynamic", "static"
PRECISIONS = (FP32, DYNAMIC, STATIC)
RATIOS = (0.0, 0.5, 0.8)
BATCHES = (1, 8)
CALIBRATION_WINDOWS = 128
PRODUCTS = ["Gemm", "MatMul"]
_UNEVEN = 1000.0

Windows = Mapping[str, NDArray[np.float32]]


@dataclass(frozen=True)
class Candidate:
    """One variant in one precision."""

    presence: Presence
    ratio: float
    precision: str
    graph: bytes
    session: onnxruntime.InferenceSession

    @property
    def name(self) -> str:
        """As in the record."""
        return f"{self.presence.hex}_rho{round(100 * self.ratio)}_{self.precision}"


class TrainingWindows(CalibrationDataReader):
    """Hands the quantiser some windows, one at a time."""

    def __init__(self, windows: Windows) -> None:
        count = len(next(iter(windows.values())))
        self._each: Iterator[Windows] = (
            {n: w[i : i + 1] for n, w in windows.items()} for i in range(count)
        )

    def get_next(self) -> Windows | None:
        """Return one window, or None after the last."""
        return next(self._each, None)


def delicate(graph: bytes) -> list[str]:
    """Name the products that INT8 would ruin, so that it is given its best.

    Raw sensor values have units and ranges of their own; merges read a feature that is scaled
    down by 2^16 (``variants/graphs/stream.py``); logits are the answer.
    """
    nodes = onnx.load_from_string(graph).graph
    constants = {c.name: numpy_helper.to_array(c) for c in nodes.initializer}
    below_product: set[str] = set()
    named = []
    for node in nodes.node:
        product = node.op_type in PRODUCTS and node.input[1] in constants
        if product or below_product & set(node.input):
            if product:
                weight = constants[node.input[1]]
                weight = weight if node.op_type == "Gemm" else weight.T  # [outputs, inputs]
                largest = np.abs(weight).max(axis=0)
                first = not below_product & set(node.input)
                last = nodes.output[0].name in node.output
                if first or last or largest.max() > _UNEVEN * np.median(largest):
                    named.append(node.name)
            below_product |= set(node.output)
    return named


def quantised(graph: bytes, precision: str, windows: Windows) -> bytes:
    """Return the graph with its products by constants in INT8, but for delicate ones."""
    excluded = delicate(graph)
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "fp32.onnx", Path(folder) / "int8.onnx"
        source.write_bytes(graph)
        if precision == DYNAMIC:
            quantize_dynamic(
                source,
                target,
                op_types_to_quantize=PRODUCTS,
                nodes_to_exclude=excluded,
                per_channel=True,
                weight_type=QuantType.QInt8,
            )
        else:
            quantize_static(
                source,
                target,
                TrainingWindows(windows),
                quant_format=QuantFormat.QDQ,
                op_types_to_quantize=PRODUCTS,
                nodes_to_exclude=excluded,
                per_channel=True,
                activation_type=QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                extra_options={"MatMulConstBOnly": True},
            )
        return target.read_bytes()


def open_quantised(graph: bytes, *, profile: Path | None = None) -> onnxruntime.InferenceSession:
    """Load a graph with all rewriting on: only then are quantised products put together."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if profile is not None:
        options.enable_profiling, options.profile_file_prefix = True, str(profile)
    return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def candidates(
    bundle: Bundle, presences: list[Presence], train: WindowSet, seconds: dict[str, list[float]]
) -> list[Candidate]:
    """Build every variant in every precision; ``seconds`` gets what quantising one took."""
    builder = VariantBuilder(bundle)
    chosen = np.random.default_rng(0).choice(len(train), CALIBRATION_WINDOWS, replace=False)
    found = []
    for presence in track(presences, description="quantise"):
        names = presence.names(bundle.spec.modality_names)
        windows = {n: train.arrays[n][chosen].astype(np.float32) for n in names}
        for ratio in RATIOS:
            graph = builder.graph(builder.mask(presence, ratio))
            found.append(Candidate(presence, ratio, FP32, graph, open_session(graph, threads=1)))
            for precision in (DYNAMIC, STATIC):
                started = time.perf_counter()
                small = quantised(graph, precision, windows)
                session = open_quantised(small)
                seconds[precision].append(time.perf_counter() - started)
                found.append(Candidate(presence, ratio, precision, small, session))
    return found


def accuracy(candidate: Candidate, windows: Windows, label: NDArray[np.int64]) -> float:
    answers = [
        candidate.session.run(None, {n: w[i : i + 16] for n, w in windows.items()})[0]
        for i in range(0, len(label), 16)
    ]
    return float((np.concatenate(answers).argmax(axis=1) == label).mean())


def in_turns(group: list[Candidate], windows: Windows, rounds: int) -> dict[str, list[float]]:
    """Seconds of one run, precision by precision in each round."""
    seconds: dict[str, list[float]] = {c.name: [] for c in group}
    for _ in range(20):
        for c in group:
            c.session.run(None, dict(windows))
    for _ in range(rounds):
        for c in group:
            started = time.perf_counter()
            for _ in range(5):
                c.session.run(None, dict(windows))
            seconds[c.name].append((time.perf_counter() - started) / 5)
    return seconds


def seconds_by_op(graph: bytes, windows: Windows, runs: int = 50) -> dict[str, float]:
    """Seconds that one run spends in each kind of operation, as the engine's profiler has it."""
    with tempfile.TemporaryDirectory() as folder:
        session = open_quantised(graph, profile=Path(folder) / "profile")
        for _ in range(runs):
            session.run(None, dict(windows))
        events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    spent: dict[str, float] = defaultdict(float)
    for event in events:
        if event.get("cat") == "Node" and event["name"].endswith("_kernel_time"):
            spent[event["args"]["op_name"]] += 1e-6 * event["dur"] / runs
    return dict(sorted(spent.items(), key=lambda item: -item[1]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=20)
    args = parser.parse_args()
    logging.getLogger().setLevel(logging.ERROR)  # the quantiser gives advice on every graph

    bundle, data = read_bundle(args.bundle), load_windows(args.data)
    split = recommended_split(data)
    val = data.of_groups(split.val)
    size = len(bundle.spec.modalities)
    presences = [Presence.full(size), Presence.of((0, 2, 4), size), Presence.of((0,), size)]
    quantising: dict[str, list[float]] = {precision: [] for precision in (DYNAMIC, STATIC)}
    found = candidates(bundle, presences, data.of_groups(split.train), quantising)
    record = Record(
        "int8",
        "Does quantising a variant to INT8 give a better point than pruning it further?",
        bundle=bundle.digest,
        validation_groups=split.val,
        calibration_windows=CALIBRATION_WINDOWS,
        ratios=RATIOS,
        threads=1,
        rounds=args.rounds,
    )
    accuracies: dict[str, float] = {}
    for c in track(found, description="accuracy"):
        names = c.presence.names(bundle.spec.modality_names)
        windows = {n: val.arrays[n].astype(np.float32) for n in names}
        accuracies[c.name] = accuracy(c, windows, val.label)
    timings: dict[tuple[str, int], NDArray[np.float64]] = {}
    for presence in track(presences, description="latency"):
        names = presence.names(bundle.spec.modality_names)
        group = [c for c in found if c.presence == presence]
        for batch in BATCHES:
            windows = {n: val.arrays[n][:batch].astype(np.float32) for n in names}
            for name, samples in in_turns(group, windows, args.rounds).items():
                timings[name, batch] = np.array(samples)
                record.add_samples(f"{name}_batch{batch}_seconds", samples, "s")
    record.add(
        "points",
        {
            c.name: {
                "validation_accuracy": accuracies[c.name],
                "memory_bytes": len(c.graph),
                **{f"seconds_batch{b}": float(np.median(timings[c.name, b])) for b in BATCHES},
            }
            for c in found
        },
    )
    one = {n: w[:1].astype(np.float32) for n, w in val.arrays.items()}
    record.add(
        "seconds_by_op",
        {
            c.name: seconds_by_op(c.graph, one)
            for c in found
            if c.presence.num_missing == 0 and c.ratio in (0.0, 0.8)
        },
    )
    add_figures(record, found, accuracies, timings)
    for precision, samples in quantising.items():
        name = f"int8_{precision}_quantise_seconds"
        record.add_samples(name, samples, "s")
        record.add_figure(name, float(np.median(samples)), "s")
    print("wrote", record.save())


def add_figures(
    record: Record,
    found: list[Candidate],
    accuracies: Mapping[str, float],
    timings: Mapping[tuple[str, int], NDArray[np.float64]],
) -> None:
    """State time, bytes and accuracy of INT8 over FP32 of the same variant."""
    by_place = {(c.presence, c.ratio, c.precision): c for c in found}
    for c in found:
        print(
            f"{c.name:24} accuracy {accuracies[c.name]:.4f} {1e-6 * len(c.graph):.3f} MB",
            *(f"{1e3 * np.median(timings[c.name, b]):.3f} ms" for b in BATCHES),
        )
    for precision in (DYNAMIC, STATIC):
        pairs = [
            (c, by_place[c.presence, c.ratio, FP32]) for c in found if c.precision == precision
        ]
        for batch in BATCHES:
            for ratio in RATIOS:
                chosen = [
                    np.median(timings[small.name, batch] / timings[whole.name, batch])
                    for small, whole in pairs
                    if small.ratio == ratio
                ]
                suffix = f"rho{round(100 * ratio)}_batch{batch}"
                value = float(np.exp(np.mean(np.log(chosen))))
                spread = {"min": float(min(chosen)), "max": float(max(chosen))}
                record.add_figure(f"int8_{precision}_time_ratio_{suffix}", value, "ratio", spread)
        deltas = [accuracies[small.name] - accuracies[whole.name] for small, whole in pairs]
        sizes = [len(small.graph) / len(whole.graph) for small, whole in pairs]
        for name, values in (("accuracy_delta", deltas), ("bytes_ratio", sizes)):
            spread = {"min": float(min(values)), "max": float(max(values))}
            record.add_figure(f"int8_{precision}_{name}", float(np.mean(values)), "ratio", spread)
    for name, figure in record.figures.items():
        print(f"{name}: {figure['value']:.4f} {figure['spread']}")


if __name__ == "__main__":
    main()

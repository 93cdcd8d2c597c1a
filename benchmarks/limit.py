"""How far the engine is above the floor of this machine, and where the rest of its time goes.

Measures the peak of one core (a large float32 product through ONNX Runtime) and the bandwidth of
its memory (a copy), in turns with the shipped model's sessions and with their own products alone:
a graph that has every product of the variant, of the same shapes, with weights of its own, and
nothing between them. Then lets ONNX Runtime's profiler say which operators take the time. One
thread, no server. Run:

    python benchmarks/limit.py models/dsads-maestro/1
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from rich.progress import track

from sentryfuse.bench import Record
from sentryfuse.bundle import Bundle, read_bundle
from sentryfuse.data.simulator import WindowSimulator
from sentryfuse.variants import Variant, VariantBuilder
from sentryfuse.variants.engine import onnxruntime
from sentryfuse.variants.variant import open_session, session_options

RATIOS = (0.0, 0.8, 0.9)
BATCHES = (1, 8)
ROUNDS = 30
TURN_S = 0.03  # of each thing in each round
PROFILED_RUNS = 100
SIDE = 1024  # of the large product: 4 MB for each matrix, 2 GFLOPs
COPY_BYTES = 512 * 2**20  # more than any cache holds
CACHED_BYTES = 2**20  # fits beside its copy into a second-level cache of 2 MB

NODES = 200

_PRODUCTS = ("Gemm", "MatMul")
KINDS = {
    "attention": ("Attention",),
    "layout": ("Reshape", "Split", "Concat", "Pad", "Transpose"),
}
"""Operators that are no products by what they are; all others work element by element."""


@dataclass(frozen=True, slots=True)
class Product:
    """One matrix product of a graph, as the profiler saw it."""

    operator: str
    left: tuple[int, ...]
    right: tuple[int, ...] | None
    """None where it is a weight, which the engine has repacked."""
    result: tuple[int, ...]

    @property
    def flops(self) -> int:
        """Two for each multiply-accumulate."""
        return 2 * int(np.prod(self.result)) * self.left[-1]


def windows(bundle: Bundle, batch: int) -> dict[str, np.ndarray]:
    simulator = WindowSimulator.from_arrays(bundle.simulator_arrays, bundle.spec)
    rng = np.random.default_rng(0)
    drawn = [simulator.window(i % 5, rng)[1] for i in range(batch)]
    return {name: np.stack([d[name] for d in drawn]) for name in bundle.spec.modality_names}


def large_product() -> Callable[[], object]:
    """A product that keeps one core as busy as it can be."""
    rng = np.random.default_rng(0)
    weight = numpy_helper.from_array(rng.standard_normal((SIDE, SIDE), "f4"), "w")
    node = helper.make_node("MatMul", ["x", "w"], ["y"])
    session = open_session(_model([node], {"x": (SIDE, SIDE)}, ["y"], [weight]), threads=1)
    x = rng.standard_normal((SIDE, SIDE), "f4")
    return lambda: session.run(None, {"x": x})


def products_alone(products: Sequence[Product]) -> Callable[[], object]:
    """All products of a graph, without anything between them; each weight is another one."""
    rng = np.random.default_rng(0)
    nodes, weights, inputs, names = [], [], {}, []
    for index, product in enumerate(products):
        left = f"x_{'_'.join(map(str, product.left))}"
        inputs[left] = product.left
        if product.right is None:
            right = f"w{index}"
            shape = (product.left[-1], product.result[-1])
            weights.append(numpy_helper.from_array(rng.standard_normal(shape, "f4"), right))
        else:
            right = f"y_{'_'.join(map(str, product.right))}"
            inputs[right] = product.right
        names.append(f"z{index}")
        nodes.append(helper.make_node(product.operator, [left, right], names[-1:]))
    session = open_session(_model(nodes, inputs, names, weights), threads=1)
    feed = {name: rng.standard_normal(shape, "f4") for name, shape in inputs.items()}
    return lambda: session.run(None, feed)


def nodes_alone(count: int) -> Callable[[], object]:
    """As many operators as a graph has, one after the other, that have almost nothing to do."""
    one = numpy_helper.from_array(np.ones(1, "f4"), "one")
    nodes = [
        helper.make_node("Add", [f"v{i}" if i else "x", "one"], [f"v{i + 1}"]) for i in range(count)
    ]
    graph = _model(nodes, {"x": (1,)}, [f"v{count}"], [one])
    session = open_session(graph, threads=1)
    feed = {"x": np.zeros(1, "f4")}
    return lambda: session.run(None, feed)


def profile_operators(
    graph: bytes, feed: dict[str, np.ndarray]
) -> tuple[dict[str, float], list[Product], int]:
    """Ask the engine's profiler.

    Returns:
        Seconds of one run by operator, the products of one run, and how many operators run in
        one. Profiling makes everything slower: its seconds say how operators stand to each other.
    """
    options = session_options(threads=1)
    options.enable_profiling = True
    with tempfile.TemporaryDirectory() as folder:
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        for _ in range(PROFILED_RUNS):
            session.run(None, feed)
        path = Path(session.end_profiling())
        events = json.loads(path.read_text(encoding="utf-8"))
    nodes = [e for e in events if e["name"].endswith("_kernel_time")]
    each = len(nodes) // PROFILED_RUNS
    # Whole microseconds only: added up run by run, of which the median hides what others took.
    runs: list[Counter[str]] = []
    for first in range(0, each * PROFILED_RUNS, each):
        taken: Counter[str] = Counter()
        for event in nodes[first : first + each]:
            taken[event["args"]["op_name"]] += event["dur"]
        runs.append(taken)
    by_operator = {n: 1e-6 * float(np.median([run[n] for run in runs])) for n in runs[0]}
    found = [_product(e["args"]) for e in nodes[-each:] if e["args"]["op_name"] in _PRODUCTS]
    slowest_first = sorted(by_operator.items(), key=lambda item: -item[1])
    return dict(slowest_first), found, each


def _product(event: dict[str, Any]) -> Product:
    def shapes(key: str) -> list[tuple[int, ...]]:
        return [tuple(next(iter(entry.values()))) for entry in event[key]]

    taken = shapes("input_type_shape")
    dynamic = event["op_name"] == "MatMul" and len(taken) == 2 and len(taken[1]) > 1
    return Product(
        operator=event["op_name"],
        left=taken[0],
        right=taken[1] if dynamic else None,
        result=shapes("output_type_shape")[0],
    )


def _model(
    nodes: list[onnx.NodeProto],
    inputs: dict[str, tuple[int, ...]],
    outputs: list[str],
    weights: list[onnx.TensorProto],
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "limit",
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in inputs.items()],
        [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in outputs],
        weights,
    )
    opset = [helper.make_opsetid("", 20)]
    model: bytes = helper.make_model(graph, opset_imports=opset, ir_version=9).SerializeToString()
    return model


def copying(size: int) -> Callable[[], object]:
    source = np.ones(size // 8, dtype=np.float64)
    target = np.empty_like(source)
    return lambda: np.copyto(target, source)


def seconds_of(call: Callable[[], object], times: int) -> float:
    started = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - started) / times


def take_turns(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of a call, by round; in every round each has its turn."""
    times = {}
    for name, call in calls.items():
        call()
        times[name] = max(1, round(TURN_S / seconds_of(call, 1)))
    taken: dict[str, list[float]] = {name: [] for name in calls}
    for _ in track(range(rounds), description="turns"):
        for name, call in calls.items():
            taken[name].append(seconds_of(call, times[name]))
    return taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One variant and batch."""

    name: str
    ratio: float
    batch: int
    variant: Variant
    feed: dict[str, np.ndarray]
    operators: dict[str, float]
    products: list[Product]
    nodes: int
    """Operators in one run."""

    @property
    def flops(self) -> int:
        """Of one run."""
        return self.variant.card.flops * self.batch

    @property
    def bytes(self) -> int:
        """Weights, windows and answers of one run: what must be read and written at least."""
        return self.variant.card.memory_bytes + sum(v.nbytes for v in self.feed.values())

    @property
    def rest(self) -> dict[str, float]:
        """What is no product, by kind of operator, as shares of it all (by the profiler)."""
        kinds = dict.fromkeys((*KINDS, "elementwise"), 0.0)
        for name, seconds in self.operators.items():
            if name not in _PRODUCTS:
                kind = next((k for k, members in KINDS.items() if name in members), "elementwise")
                kinds[kind] += seconds
        return {kind: seconds / sum(kinds.values()) for kind, seconds in kinds.items()}


def make_case(builder: VariantBuilder, ratio: float, batch: int) -> Case:
    mask = builder.mask(builder.bundle.spec.full_presence, ratio)
    feed = windows(builder.bundle, batch)
    operators, products, nodes = profile_operators(builder.graph(mask), feed)
    return Case(
        name=f"rho{round(100 * ratio)}_b{batch}",
        ratio=ratio,
        batch=batch,
        variant=builder.build(mask),
        feed=feed,
        operators=operators,
        products=products,
        nodes=nodes,
    )


def spread(samples: np.ndarray) -> dict[str, float]:
    low, high = np.quantile(samples, [0.25, 0.75])
    return {"q25": float(low), "q75": float(high), "n": len(samples)}


def add_case(record: Record, case: Case, taken: dict[str, list[float]]) -> dict[str, Any]:
    """State the figures of one case; everything is a ratio within its round first."""
    peak = 2 * SIDE**3 / np.array(taken["large product"])
    session_s, alone_s = (np.array(taken[f"{k} {case.name}"]) for k in ("session", "products"))
    memory = 2 * COPY_BYTES / np.array(taken["copy"])
    cached = 2 * CACHED_BYTES / np.array(taken["copy in cache"])
    flops_s, bytes_s = case.flops / peak, case.bytes / memory
    floor_s = np.maximum(flops_s, case.bytes / cached)
    own_flops = sum(p.flops for p in case.products)

    def figure(name: str, samples: np.ndarray, unit: str) -> float:
        value = float(np.median(samples))
        record.add_figure(f"limit_{name}_{case.name}", value, unit, spread(samples))
        return value

    # What the session's time is made of, each part measured by itself in the same round.
    parts = {
        "arithmetic": flops_s,
        "products_above": alone_s - own_flops / peak,
        "operators": case.nodes * np.array(taken["node"]),
    }
    parts["rest"] = session_s - sum(parts.values())
    for part, seconds in parts.items():
        figure(f"{part}_share", seconds / session_s, "ratio")
    for kind, share in case.rest.items():
        record.add_figure(f"limit_{kind}_of_rest_{case.name}", share, "ratio")
    facts = {
        "flops": case.flops,
        "product_flops": own_flops,
        "products": len(case.products),
        "nodes": case.nodes,
        "bytes": case.bytes,
        "session_s": figure("session_seconds", session_s, "s"),
        "flops_floor_s": float(np.median(flops_s)),
        "memory_floor_s": float(np.median(bytes_s)),
        "floor_s": figure("floor_seconds", floor_s, "s"),
        "over_floor": figure("session_over_floor", session_s / floor_s, "ratio"),
        "products_alone_s": figure("products_seconds", alone_s, "s"),
        "products_of_peak": figure("products_of_peak", own_flops / alone_s / peak, "ratio"),
        "profiled_operators_s": case.operators,
    }
    record.add_samples(f"session_seconds_{case.name}", session_s.tolist(), "s")
    record.add_samples(f"products_seconds_{case.name}", alone_s.tolist(), "s")
    return facts


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--out", type=Path, default=Path("benchmarks"))
    args = parser.parse_args()
    bundle = read_bundle(args.bundle)
    builder = VariantBuilder(bundle)
    cases = [make_case(builder, ratio, batch) for ratio in RATIOS for batch in BATCHES]
    calls: dict[str, Callable[[], object]] = {
        "large product": large_product(),
        "copy": copying(COPY_BYTES),
        "copy in cache": copying(CACHED_BYTES),
        "nodes": nodes_alone(NODES),
    }
    for case in cases:
        calls[f"session {case.name}"] = lambda case=case: case.variant.run(case.feed)
        calls[f"products {case.name}"] = products_alone(case.products)
    record = Record(
        "limit",
        "How far are the shipped model's sessions above the floor that this machine's arithmetic "
        "and memory set, and where does the rest of their time go?",
        bundle=bundle.digest,
        threads=1,
        side=SIDE,
        copy_bytes=COPY_BYTES,
        cached_bytes=CACHED_BYTES,
        nice=os.nice(0),
    )
    taken = take_turns(calls, args.rounds)
    taken["node"] = (np.array(taken["nodes"]) / NODES).tolist()
    record.add_samples("node_seconds", taken["node"], "s")
    record.add_figure(
        "limit_node_seconds", float(np.median(taken["node"])), "s", spread(np.array(taken["node"]))
    )
    peak = 2 * SIDE**3 / np.array(taken["large product"])
    record.add_samples("peak_flops", peak.tolist(), "FLOP/s")
    record.add_figure("limit_peak_flops", float(np.median(peak)), "FLOP/s", spread(peak))
    for name, key, size in (
        ("copy", "limit_memory_bandwidth", COPY_BYTES),
        ("copy in cache", "limit_cache_bandwidth", CACHED_BYTES),
    ):
        speed = 2 * size / np.array(taken[name])
        record.add_samples(key.removeprefix("limit_"), speed.tolist(), "B/s")
        record.add_figure(key, float(np.median(speed)), "B/s", spread(speed))
    facts = {case.name: add_case(record, case, taken) for case in cases}
    record.add("cases", facts)
    for name, figure in record.figures.items():
        print(f"{name}: {figure['value']:.4g} {figure['unit']} {figure['spread']}")
    for name, found in facts.items():
        shown = {k: f"{1e6 * v:.0f}" for k, v in list(found["profiled_operators_s"].items())[:9]}
        print(name, "microseconds by operator:", shown)
    print("wrote", record.save(args.out))


if __name__ == "__main__":
    main()

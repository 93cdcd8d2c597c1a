"""What reading one window costs: as bytes, as JSON of the same protocol, as JSON of our own.

All three go from the body of a request to checked arrays, in turns, in one process. Run:

    python benchmarks/parse.py models/dsads-maestro/1
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import orjson
from rich.progress import track

from app.api.payload import WindowReader
from app.api.v2.decoding import Decoder
from app.protocol.tensor_reader import TensorReader
from sentryfuse.bench import Record
from sentryfuse.bundle import Bundle, read_bundle
from sentryfuse.data.simulator import WindowSimulator

DECIMALS = 4  # what a sensor delivers; clients that write more make their JSON longer


def window(bundle: Bundle) -> dict[str, np.ndarray]:
    simulator = WindowSimulator.from_arrays(bundle.simulator_arrays, bundle.spec)
    _, drawn = simulator.window(0, np.random.default_rng(0))
    return {name: np.nan_to_num(v).astype(float).round(DECIMALS) for name, v in drawn.items()}


def described(values: dict[str, np.ndarray]) -> list[dict[str, object]]:
    return [{"name": n, "datatype": "FP32", "shape": list(v.shape)} for n, v in values.items()]


def binary_body(values: dict[str, np.ndarray]) -> tuple[bytes, int]:
    raw = [v.astype("<f4").tobytes() for v in values.values()]
    inputs = [
        {**tensor, "parameters": {"binary_data_size": len(data)}}
        for tensor, data in zip(described(values), raw, strict=True)
    ]
    text = orjson.dumps({"inputs": inputs, "parameters": {"binary_data_output": True}})
    return b"".join([text, *raw]), len(text)


def json_body(values: dict[str, np.ndarray]) -> bytes:
    """Flat, as the clients of the protocol write it."""
    data = [v.ravel().tolist() for v in values.values()]
    inputs = [{**t, "data": d} for t, d in zip(described(values), data, strict=True)]
    return orjson.dumps({"inputs": inputs})


def native_body(values: dict[str, np.ndarray]) -> bytes:
    return orjson.dumps({"inputs": {name: v.tolist() for name, v in values.items()}})


def measure(
    readers: dict[str, Callable[[], object]], *, rounds: int, calls: int
) -> dict[str, list[float]]:
    """Mean seconds of a call, turn by turn."""
    seconds: dict[str, list[float]] = {name: [] for name in readers}
    for _ in track(range(rounds), description="turns"):
        for name, read in readers.items():
            started = time.perf_counter()
            for _ in range(calls):
                read()
            seconds[name].append((time.perf_counter() - started) / calls)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--rounds", type=int, default=400)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--no-record", action="store_true")
    args = parser.parse_args()
    bundle = read_bundle(args.bundle)
    spec, values = bundle.spec, window(bundle)
    decoder, tensors = Decoder(), TensorReader(spec, max_batch=64)
    native = WindowReader(spec, max_batch=64)
    raw, header_length = binary_body(values)
    text, own = json_body(values), native_body(values)
    readers: dict[str, Callable[[], object]] = {
        "binary": lambda: tensors.read(decoder.decode(raw, header_length, spec)),
        "json": lambda: tensors.read(decoder.decode(text, None, spec)),
        "native_json": lambda: native.read(own),
    }
    record = Record(
        "parse",
        "How much less does it take to read a window as bytes than as JSON?",
        bundle=bundle.digest,
        body_bytes={"binary": len(raw), "json": len(text), "native_json": len(own)},
        rounds=args.rounds,
        calls=args.calls,
        decimals=DECIMALS,
    )
    measure(readers, rounds=10, calls=args.calls)
    seconds = measure(readers, rounds=args.rounds, calls=args.calls)
    for name, samples in seconds.items():
        record.add_samples(f"parse_{name}_seconds", samples, "s")
        record.add_figure(f"parse_{name}_seconds_p50", float(np.median(samples)), "s")
    for figure, other in (
        ("parse_binary_over_json", "json"),
        ("parse_binary_over_native_json", "native_json"),
    ):
        ratios = np.array(seconds[other]) / np.array(seconds["binary"])
        low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75])
        spread = {"q25": float(low), "q75": float(high), "n": len(ratios)}
        record.add_figure(figure, float(middle), "ratio", spread)
    for name, shown in record.figures.items():
        print(f"{name}: {shown['value']:.4g} {shown['unit']} {shown['spread']}")
    if not args.no_record:
        print("wrote", record.save())


if __name__ == "__main__":
    main()

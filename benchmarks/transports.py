"""One window over every transport: what each adds to the bare session.

The real service as a process of its own, one client each, in turns in one run; requests are
written beforehand and answers read as bytes, so that the figures are the service's and the
transport's, not those of a client library. Run:

    python benchmarks/transports.py models
"""

from __future__ import annotations

import argparse
import json
import socket
import time
from collections.abc import Callable
from http.client import HTTPConnection
from pathlib import Path

import grpc
import numpy as np
from parse import binary_body, json_body, native_body, window
from rich.progress import track
from service import resident_bytes, service

from app.api.v2.decoding import LENGTH_HEADER
from app.rpc import open_inference_pb2 as pb
from sentryfuse.bench import Record
from sentryfuse.bundle import read_bundle
from sentryfuse.variants import VariantBuilder

Ask = Callable[[], object]


def over_http(
    connection: HTTPConnection, path: str, body: bytes, header_length: int | None = None
) -> Ask:
    sent = {"Content-Type": "application/json"}
    if header_length is not None:
        sent = {
            "Content-Type": "application/octet-stream",
            LENGTH_HEADER: str(header_length),
        }

    def ask() -> bytes:
        connection.request("POST", path, body, sent)
        response = connection.getresponse()
        answer = response.read()
        if response.status != 200:
            raise SystemExit(f"{response.status}: {answer.decode()}")
        return answer

    return ask


def over_grpc(channel: grpc.Channel, model: str, values: dict[str, np.ndarray]) -> Ask:
    request = pb.ModelInferRequest(model_name=model)
    for name, array in values.items():
        request.inputs.add(name=name, datatype="FP32", shape=array.shape)
        request.raw_input_contents.append(array.astype("<f4").tobytes())
    data = request.SerializeToString()
    call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
    return lambda: call(data, timeout=10)


def measure(asks: dict[str, Ask], *, rounds: int, calls: int) -> dict[str, list[float]]:
    """Mean seconds of a call, turn by turn."""
    seconds: dict[str, list[float]] = {name: [] for name in asks}
    for _ in track(range(rounds), description="turns"):
        for name, ask in asks.items():
            started = time.perf_counter()
            for _ in range(calls):
                ask()
            seconds[name].append((time.perf_counter() - started) / calls)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("models", type=Path)
    parser.add_argument("--model", default="dsads-maestro/1")
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--no-record", action="store_true")
    args = parser.parse_args()
    name = args.model.partition("/")[0]
    bundle = read_bundle(args.models / args.model)
    values = window(bundle)
    raw, header_length = binary_body(values)
    record = Record(
        "transports",
        "What does each transport add to the bare session, for one window?",
        bundle=bundle.digest,
        rounds=args.rounds,
        calls=args.calls,
    )
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with (
        service(args.models, grpc_port=port, load_models=name) as (connection, pid),
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        path = f"/v2/models/{name}/infer"
        asks = {
            "native_json": over_http(connection, "/v1/infer", native_body(values)),
            "json": over_http(connection, path, json_body(values)),
            "binary": over_http(connection, path, raw, header_length),
            "grpc": over_grpc(channel, name, values),
        }
        answer = asks["native_json"]()
        assert isinstance(answer, bytes)
        builder = VariantBuilder(bundle)
        ratio = json.loads(answer)["plan"]["ratio"]
        variant = builder.build(builder.mask(bundle.spec.full_presence, ratio))
        inputs = {n: v[None].astype(np.float32) for n, v in values.items()}
        asks["session"] = lambda: variant.run(inputs)
        measure(asks, rounds=5, calls=args.calls)
        seconds = measure(asks, rounds=args.rounds, calls=args.calls)
        record.add_figure("grpc_rss_bytes", resident_bytes(pid), "B")
    for transport, samples in seconds.items():
        record.add_samples(f"{transport}_seconds", samples, "s")
        if transport == "session":
            continue
        overheads = np.array(samples) - np.array(seconds["session"])
        low, middle, high = np.quantile(overheads, [0.25, 0.5, 0.75])
        spread = {"q25": float(low), "q75": float(high), "n": len(overheads)}
        record.add_figure(f"overhead_{transport}_seconds_p50", float(middle), "s", spread)
    for figure, shown in record.figures.items():
        print(f"{figure}: {shown['value']:.4g} {shown['unit']} {shown['spread']}")
    if not args.no_record:
        print("wrote", record.save())


if __name__ == "__main__":
    main()

"""The service over HTTP: what a request costs beyond the session, and what idling weighs.

Starts the real service as a process of its own. One client, one JSON window, taking turns with
the bare session loop in the same run. Run:

    python benchmarks/service.py models
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path

import numpy as np
from rich.progress import track

from sentryfuse.bench import Record
from sentryfuse.bundle import read_bundle
from sentryfuse.data.simulator import WindowSimulator
from sentryfuse.variants import Variant, VariantBuilder

# Calls in a turn: how many rounds of it. Both are reported: in short turns, service and bare loop
# each begin with the caches that the other left, in long ones that hardly counts.
TURNS = {10: 60, 50: 24}
FIGURES = {
    10: "http_overhead_json_short_turns_seconds_p50",
    50: "http_overhead_json_seconds_p50",
}
READY_TIMEOUT_S = 120.0


@contextmanager
def service(models: Path, **settings: object) -> Iterator[tuple[HTTPConnection, int]]:
    """Run the service, with its defaults or other settings; yield a connection and its process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {**os.environ, "SENTRYFUSE_MODELS": str(models)}
    environment |= {f"SENTRYFUSE_{name.upper()}": str(value) for name, value in settings.items()}
    command = [sys.executable, "-m", "sentryfuse", "serve", "--port", str(port)]
    with tempfile.TemporaryFile() as log:  # a request costs a log line, wherever it goes
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        wait_until_ready(connection)
        yield connection, process.pid
    finally:
        process.terminate()
        process.wait(timeout=30)


def wait_until_ready(connection: HTTPConnection) -> None:
    deadline = time.monotonic() + READY_TIMEOUT_S
    while time.monotonic() < deadline:
        try:
            connection.request("GET", "/health/ready")
            response = connection.getresponse()
            response.read()
            if response.status == 200:
                return
        except OSError:
            connection.close()
        time.sleep(0.1)
    raise SystemExit("the service did not become ready")


def resident_bytes(pid: int | str) -> int:
    status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    line = next(x for x in status.splitlines() if x.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


def cpu_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(") ", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def post(connection: HTTPConnection, body: bytes) -> bytes:
    connection.request("POST", "/v1/infer", body, {"Content-Type": "application/json"})
    response = connection.getresponse()
    answer = response.read()
    if response.status != 200:
        raise SystemExit(f"{response.status}: {answer.decode()}")
    return answer


def measure_overhead(
    record: Record,
    connection: HTTPConnection,
    body: bytes,
    variant: Variant,
    inputs: dict[str, np.ndarray],
    calls: int,
    rounds: int,
) -> None:
    """Let the service and the bare session have their turns; keep means per turn."""
    answers, sessions = [], []
    for _ in track(range(rounds), description=f"turns of {calls}"):
        started = time.perf_counter()
        for _ in range(calls):
            post(connection, body)
        answered = time.perf_counter()
        for _ in range(calls):
            variant.run(inputs)
        finished = time.perf_counter()
        answers.append((answered - started) / calls)
        sessions.append((finished - answered) / calls)
    overheads = np.array(answers) - np.array(sessions)
    record.add_samples(f"answer_seconds_turns_of_{calls}", answers, "s")
    record.add_samples(f"session_seconds_turns_of_{calls}", sessions, "s")
    low, middle, high = np.quantile(overheads, [0.25, 0.5, 0.75])
    spread = {"q25": float(low), "q75": float(high), "n": rounds}
    record.add_figure(FIGURES[calls], float(middle), "s", spread)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("models", type=Path)
    parser.add_argument("--model", default="dsads-maestro/1")
    args = parser.parse_args()
    bundle = read_bundle(args.models / args.model)
    simulator = WindowSimulator.from_arrays(bundle.simulator_arrays, bundle.spec)
    _, window = simulator.window(0, np.random.default_rng(0))
    body = json.dumps(
        {"inputs": {n: v.astype(float).round(4).tolist() for n, v in window.items()}}
    ).encode()
    builder = VariantBuilder(bundle)
    record = Record(
        "service",
        "What does HTTP add to the bare session, and what does an idle service weigh?",
        bundle=bundle.digest,
        body_bytes=len(body),
    )
    with service(args.models, load_models=args.model.partition("/")[0]) as (connection, pid):
        for _ in range(100):
            answer = post(connection, body)
        ratio = json.loads(answer)["plan"]["ratio"]
        variant = builder.build(builder.mask(bundle.spec.full_presence, ratio))
        inputs = {n: v[None] for n, v in window.items()}
        for _ in range(50):
            variant.run(inputs)
        for calls, rounds in TURNS.items():
            measure_overhead(record, connection, body, variant, inputs, calls, rounds)
        time.sleep(5)
        before, started = cpu_seconds(pid), time.monotonic()
        time.sleep(10)
        idle_core = (cpu_seconds(pid) - before) / (time.monotonic() - started)
        resident = resident_bytes(pid)
    record.add_figure("idle_rss_bytes", resident, "B")
    record.add_figure("idle_core_ratio", idle_core, "ratio")
    for name, figure in record.figures.items():
        print(f"{name}: {figure['value']:.4g} {figure['unit']} {figure['spread']}")
    print("wrote", record.save())


if __name__ == "__main__":
    main()

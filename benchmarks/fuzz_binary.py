"""Damaged binary bodies against the parser, and against the real server over HTTP.

Counts what must not happen: an exception that is no refusal, a status of 500 and above, no answer,
a server that ends; and how memory grew. All bodies come twice, and it is the second time that must
not cost memory: the first builds variants, which damaged budgets ask for too. Run:

    python benchmarks/fuzz_binary.py models
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from mutated import good_body, mutated_body
from rich.progress import track
from service import resident_bytes, service

from app.api.v2.decoding import Decoder
from app.errors import RequestError
from app.protocol.budgets import parse_budget, with_parameters
from app.protocol.outputs import check_outputs
from app.protocol.tensor_reader import TensorReader
from sentryfuse.bench import Record
from sentryfuse.bundle import read_bundle
from sentryfuse.spec import ModelSpec

SLOWEST_S = 0.1
"""A body that takes more CPU time than this to read counts as a hang."""
PASSES = 2


def own_bytes() -> int:
    return resident_bytes("self")


class Parser:
    """All that happens to a body before inference."""

    def __init__(self, spec: ModelSpec) -> None:
        self._spec = spec
        self._decoder = Decoder()
        self._reader = TensorReader(spec, max_batch=64)
        self._no_headers = parse_budget([])

    def read(self, body: bytes, length: int) -> str:
        """Return what came of it: read, refused, or the name of an exception."""
        try:
            request = self._decoder.decode(body, length, self._spec)
            check_outputs(request.outputs, classes=self._spec.num_classes)
            with_parameters(self._no_headers, request.parameters)
            self._reader.read(request)
        except RequestError:
            return "refused"
        except Exception as error:
            print(f"crash: {error!r} on {body[:200]!r}, header length {length}")
            return type(error).__name__
        return "read"


def fuzz_parser(spec: ModelSpec, bodies: int) -> tuple[Counter[str], float, float]:
    """Return outcomes, the most CPU time that one body took, and the growth of memory."""
    parser, outcomes = Parser(spec), Counter[str]()
    longest_s, held = 0.0, []
    for number in range(PASSES):
        for seed in track(range(bodies), description=f"parser, pass {number + 1}"):
            body, length = mutated_body(spec, random.Random(seed))
            started_s = time.thread_time()
            outcomes[parser.read(body, length)] += 1
            longest_s = max(longest_s, time.thread_time() - started_s)
        held.append(own_bytes())
    return outcomes, longest_s, held[-1] / held[0] - 1


def post(connection: HTTPConnection, path: str, body: bytes, length: int) -> str:
    """Return the status, or the name of what kept it from coming."""
    headers = {"Inference-Header-Content-Length": str(length)}
    try:
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        response.read()
    except (OSError, HTTPException) as error:
        connection.close()
        return type(error).__name__
    return str(response.status)


def fuzz_server(models: Path, model: str, spec: ModelSpec, bodies: int) -> tuple[dict, float]:
    """Return outcomes and the growth of the server's memory."""
    path, outcomes = f"/v2/models/{model}/infer", Counter[str]()
    with service(models) as (connection, pid):
        undamaged = good_body(spec, random.Random(0)).to_bytes()
        if post(connection, path, *undamaged) != "200":
            raise SystemExit("the server refused an undamaged body")
        held = []
        for number in range(PASSES):
            for seed in track(range(bodies), description=f"server, pass {number + 1}"):
                damaged = mutated_body(spec, random.Random(seed))
                outcomes[post(connection, path, *damaged)] += 1
            held.append(resident_bytes(pid))
        if post(connection, path, *undamaged) != "200":
            outcomes["dead"] += 1
    return dict(outcomes), held[-1] / held[0] - 1


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("models", type=Path)
    parser.add_argument("--model", default="dsads-maestro")
    parser.add_argument("--version", default="1")
    parser.add_argument("--bodies", type=int, default=100_000, help="for the parser")
    parser.add_argument("--posted", type=int, default=10_000, help="of these, over HTTP as well")
    parser.add_argument("--no-record", action="store_true")
    args = parser.parse_args()
    bundle = read_bundle(args.models / args.model / args.version)
    parsed, longest_s, parser_growth = fuzz_parser(bundle.spec, args.bodies)
    answered, server_growth = fuzz_server(args.models, args.model, bundle.spec, args.posted)
    crashes = sum(n for outcome, n in parsed.items() if outcome not in ("read", "refused"))
    faults = sum(n for status, n in answered.items() if not status.isdigit() or int(status) >= 500)
    hangs = int(longest_s > SLOWEST_S)
    record = Record(
        "fuzz-binary",
        "Can a damaged body of the binary tensor extension break the parser or the server?",
        bundle=bundle.digest,
        bodies=args.bodies,
        posted=args.posted,
        passes=PASSES,
    )
    record.add("parser_outcomes", dict(parsed))
    record.add("server_outcomes", answered)
    record.add("longest_parse_cpu_seconds", longest_s)
    counted = {"bodies": args.bodies, "posted": args.posted}
    record.add_figure("fuzz_crashes", crashes + hangs + faults, "count", counted)
    record.add_figure("fuzz_parser_memory_growth_ratio", parser_growth, "ratio", counted)
    record.add_figure("fuzz_server_memory_growth_ratio", server_growth, "ratio", counted)
    print("parser:", dict(parsed), f"at most {1e3 * longest_s:.1f} ms of CPU")
    print("server:", answered)
    for name, figure in record.figures.items():
        print(f"{name}: {figure['value']:.4g} {figure['unit']} {figure['spread']}")
    if not args.no_record:
        print("wrote", record.save())


if __name__ == "__main__":
    main()

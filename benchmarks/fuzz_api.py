"""The whole API against schemathesis, with all of its checks, at length.

Starts the real service with API keys. First come rounds over everything but unloading, each with
a seed of its own, then one over everything, which unloads the models under the others. Counts
requests, findings and answers of 500 and above, as the service itself counted them. Run:

    python benchmarks/fuzz_api.py models
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from http.client import HTTPConnection
from pathlib import Path

from service import resident_bytes, service

from app.security import KeyRing, new_key
from app.security.keyfile import edit_keys
from sentryfuse.bench import Record

CONFIG = Path(__file__).with_suffix(".toml")
SCOPES = frozenset({"infer", "read", "admin"})
DELIBERATE = ("503", "504")
"""Not ready, and a deadline that passed: what the contract says, where the document says so too."""
COUNTED = re.compile(
    r'^sentryfuse_request_duration_seconds_count\{.*code="(\d+)".*\} (\S+)', re.MULTILINE
)


def answers_by_code(connection: HTTPConnection, key: str) -> Counter[str]:
    """Return how many requests the service has answered, by status."""
    connection.close()  # kept alive since the start, and long forgotten
    connection.request("GET", "/metrics", headers={"X-API-Key": key})
    text = connection.getresponse().read().decode()
    counts = Counter[str]()
    for code, count in COUNTED.findall(text):
        counts[code] += int(float(count))
    return counts


def fuzz(url: str, key: str, *options: str) -> tuple[int, int]:
    """Let schemathesis loose; return how many cases it tried and how many found something."""
    command = [
        *(str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(CONFIG)),
        *("run", f"{url}/openapi.json", "--header", f"Authorization: Bearer {key}", "--no-color"),
        *("--continue-on-failure", "--report-dir", tempfile.gettempdir(), *options),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(done.stdout, done.stderr)
    cases = re.search(r"(\d+) generated", done.stdout)
    if cases is None:
        raise SystemExit("schemathesis tried nothing")
    found = re.search(r"generated, (\d+) found", done.stdout)
    return int(cases[1]), int(found[1]) if found else 0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("models", type=Path)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--examples", type=int, default=60, help="of each operation, in a round")
    parser.add_argument("--no-record", action="store_true")
    args = parser.parse_args()
    examples = ("--max-examples", str(args.examples))
    secret, key = new_key("fuzz", SCOPES)
    findings = cases = 0
    with tempfile.TemporaryDirectory() as folder:
        keys = Path(folder) / "keys.json"
        edit_keys(keys, lambda ring: KeyRing((*ring.keys, key)))
        os.environ["SENTRYFUSE_API_KEYS_FILE"] = str(keys)
        with service(args.models) as (connection, pid):
            url = f"http://{connection.host}:{connection.port}"
            rounds = [("--exclude-path-regex", "/unload$", *examples) for _ in range(args.rounds)]
            for number, options in enumerate([*rounds, examples]):
                tried, found = fuzz(url, secret, "--seed", str(number), *options)
                cases, findings = cases + tried, findings + found
                print(f"round {number}: {tried} cases, {found} findings", flush=True)
            counts = answers_by_code(connection, secret)
            resident = resident_bytes(pid)
    faults = sum(n for code, n in counts.items() if code >= "500" and code not in DELIBERATE)
    record = Record(
        "fuzz-api",
        "Does the API answer as its OpenAPI document says, whatever it is sent?",
        rounds=args.rounds,
        examples=args.examples,
    )
    record.add("answers_by_code", dict(sorted(counts.items())))
    record.add("resident_bytes_afterwards", resident)
    counted = {"requests": sum(counts.values()), "cases": cases}
    record.add_figure("fuzz_5xx", faults, "count", counted)
    record.add_figure("fuzz_findings", findings, "count", counted)
    print(dict(sorted(counts.items())))
    for name, figure in record.figures.items():
        print(f"{name}: {figure['value']:.4g} {figure['unit']} {figure['spread']}")
    if not args.no_record:
        print("wrote", record.save())


if __name__ == "__main__":
    main()

"""What the event loop does for one request, from bytes read to bytes written, without a socket.

Puts the service together as `sentryfuse serve` does, hands whole requests to its protocol through a
transport that keeps what is written, and takes the CPU time of the loop's thread for each.
Inference runs beside it, on its own threads, and empties the caches as it does in earnest. Calls of
Python functions and of built-in ones are counted in a run of their own: their number does not
depend on the machine. Another checkout can have its turns in the same run:

    python -m benchmarks.request_path --before ../before
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from sentryfuse.bench import Record
from sentryfuse.cli.screen import Screen

_MODEL = "dsads-maestro"
_KINDS = {"binary": "ours", "json": "ours-json"}
_WARM = 50
_COUNTED = 20
_QUIETEST = 0.25  # quantile of a round's requests: what one takes when it is left alone
_ROOT = Path(__file__).parents[1]


class KeptTransport(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = bytearray()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Nothing is known of the other end."""
        return default

    def is_closing(self) -> bool:
        """Never."""
        return False

    def write(self, data: Any) -> None:
        """Keep it."""
        self.written += data

    def pause_reading(self) -> None:
        """Nothing is read."""

    def resume_reading(self) -> None:
        """Nothing is read."""

    def close(self) -> None:
        """Nothing is open."""


async def ask_in_process(messages: list[bytes], requests: int) -> dict[str, Any]:
    """Start the service in this process and measure requests, one after the other."""
    from uvicorn.lifespan.on import LifespanOn
    from uvicorn.server import ServerState

    from app.serving import build
    from app.settings import load_settings

    server, lifecycle = build(load_settings())
    config = server.config
    config.load()
    await LifespanOn(config).startup()
    while not lifecycle.ready:
        await asyncio.sleep(0.05)
    state = ServerState()
    state.default_headers = [(b"date", b"Thu, 01 Jan 1970 00:00:00 GMT")]
    connect: Callable[..., Any] = config.http_protocol_class  # type: ignore[assignment]
    protocol, transport = connect(config, state, {}), KeptTransport()
    protocol.connection_made(transport)
    loop = asyncio.get_running_loop()

    async def ask(message: bytes) -> None:
        transport.written.clear()
        done = loop.create_future()
        protocol.data_received(message)
        cycle = protocol.cycle
        on_response = cycle.on_response

        def answered() -> None:
            on_response()
            done.set_result(None)

        cycle.on_response = answered
        await done
        await asyncio.sleep(0)  # for what the request does after its answer
        if not transport.written.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"no answer: {bytes(transport.written[:300])!r}")

    seconds, calls = [], 0
    for number in range(_WARM + requests):
        began_s = time.thread_time()
        await ask(messages[number % len(messages)])
        if number >= _WARM:
            seconds.append(time.thread_time() - began_s)

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    for number in range(_COUNTED):
        await ask(messages[number % len(messages)])
    sys.setprofile(None)
    return {"cpu_s": float(np.quantile(seconds, _QUIETEST)), "calls": calls / _COUNTED}


def one_round(kind: str, models: Path, requests: int) -> None:
    """Measure in this process; print one line of JSON and end."""
    import uvloop

    from benchmarks.peers.material import make_material
    from benchmarks.peers.systems import SYSTEMS

    peer = SYSTEMS[_KINDS[kind]]
    with tempfile.TemporaryDirectory() as folder:
        material = make_material(models / _MODEL / "1", Path(folder), windows=8)
    messages = [peer.message(window) for window in material.windows]
    print(json.dumps(uvloop.run(ask_in_process(messages, requests))), flush=True)
    os._exit(0)  # what runs beside is not waited for


def a_turn(checkout: Path, kind: str, models: Path, requests: int, profiles: str) -> dict[str, Any]:
    """Run a round in a process of its own, with the code of a checkout."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("SENTRYFUSE_")}
    settings = {
        "MODELS": str(models),
        "DEFAULT_MODEL": _MODEL,
        "PROFILES": profiles,
        "RATIOS": "0",
        "WARM_MISSING": "0",
        "ACCESS_LOG": "false",
        "LOG_LEVEL": "error",
    }
    done = subprocess.run(
        [
            *(sys.executable, __file__, "--round", kind),
            *("--models", str(models), "--requests", str(requests)),
        ],
        env=inherited
        | {f"SENTRYFUSE_{name}": value for name, value in settings.items()}
        | {"PYTHONPATH": str(checkout)},
        cwd=checkout,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(arguments: list[str] | None = None) -> None:
    """Measure, and keep a record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    add = parser.add_argument
    add("--models", type=Path, default=Path("models"))
    add("--before", type=Path, help="another checkout, to be measured in turns with this one")
    add("--rounds", type=int, default=7)
    add("--requests", type=int, default=400, help="in each round")
    add("--out", type=Path, default=Path("benchmarks"))
    add("--round", choices=tuple(_KINDS), help=argparse.SUPPRESS)
    args = parser.parse_args(arguments)
    models = args.models.absolute()
    if args.round:
        one_round(args.round, models, args.requests)
    checkouts = {"now": _ROOT} | ({"before": args.before.absolute()} if args.before else {})
    found: dict[tuple[str, str], list[dict[str, Any]]] = {}
    screen = Screen(quiet=False)
    with tempfile.TemporaryDirectory() as profiles, screen.progress() as report:
        for turn in range(args.rounds):
            report("rounds", turn, args.rounds, "")
            for kind in _KINDS:
                for name in sorted(checkouts, reverse=bool(turn % 2)):
                    one = a_turn(checkouts[name], kind, models, args.requests, profiles)
                    found.setdefault((kind, name), []).append(one)
    record = Record(
        "request-path",
        "What does the event loop do for one request, beside its inference?",
        rounds=args.rounds,
        requests=args.requests,
        quantile=_QUIETEST,
    )
    for (kind, name), rounds in found.items():
        seconds, suffix = [r["cpu_s"] for r in rounds], "" if name == "now" else "_before"
        record.add_samples(f"cpu_seconds_{kind}{suffix}", seconds, "s")
        spread = {"min": min(seconds), "max": max(seconds), "n": args.rounds}
        median = float(np.median(seconds))
        record.add_figure(f"request_loop_cpu_{kind}{suffix}_seconds", median, "s", spread)
        calls = float(np.median([r["calls"] for r in rounds]))
        record.add_figure(f"request_calls_{kind}{suffix}", calls, "calls")
    for figure, value in record.figures.items():
        screen.say(f"{figure}: {value['value']:.4g} {value['unit']} {value['spread']}")
    screen.note(f"wrote {record.save(args.out)}")


if __name__ == "__main__":
    main()

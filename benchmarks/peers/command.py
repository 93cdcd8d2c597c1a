"""Our service beside others: the same graph, the same windows, the same machine, in turns.

Builds an environment for each peer (once, in .venv-peers/, versions pinned), then lets each have
its turns: started, asked by one client, saturated, asked at rising rates until 99 of 100 answers
no longer come within 20 ms, weighed, stopped. One server runs at a time. Leave the machine alone
meanwhile. In each turn answers are compared with the graph's before anything is measured.

    python -m benchmarks.peers --install        builds environments and ends (2 GB, minutes)
    python -m benchmarks.peers --check          starts each and compares its answers
    python -m benchmarks.peers                  measures: about 10 minutes, and keeps a record
    python -m benchmarks.peers --peers fastapi triton --turns 1 --no-record

A peer that does not install or run here is named with the reason, and the rest goes on. How each
is set up stands in benchmarks/peers/systems/NAME/, one small module and its server for each.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers.environment import ENVIRONMENTS
from benchmarks.peers.material import make_material
from benchmarks.peers.report import fill, table
from benchmarks.peers.rounds import Rounds, describe
from benchmarks.peers.systems import SYSTEMS
from benchmarks.peers.systems.ours import BUDGET_MS, FLOOR
from benchmarks.peers.turn import DEADLINE_S, IN_FLIGHT, IN_TIME, Plan
from loadtests.client import client_process
from sentryfuse.bench import Record
from sentryfuse.cli.screen import Screen

_QUESTION = "How fast, how large and how frugal is the service beside others, on the same graph?"
_WINDOWS = 8


def main(arguments: Sequence[str] | None = None) -> Record | None:
    """Run it; return the record, if anything was measured."""
    args = parser().parse_args(arguments)
    screen = Screen(quiet=args.quiet)
    ours = [peer for peer in SYSTEMS.values() if peer.is_ours]
    others = [p for p in SYSTEMS.values() if not p.is_ours and p.name in args.peers]
    with tempfile.TemporaryDirectory(prefix="peers-") as name, client_process() as submit:
        rounds = Rounds(
            material=make_material(args.models / args.model, Path(name), windows=_WINDOWS),
            models=args.models,
            cache=Path(name),
            environments=args.environments,
            cores=len(os.sched_getaffinity(0)),
            submit=submit,
            screen=screen,
        )
        peers = rounds.install([*ours, *others])
        if args.install:
            screen.note(f"ready: {', '.join(p.title for p in peers)}")
            return None
        if args.check:
            rounds.check(peers)
            return None
        with screen.progress() as report:
            plan = Plan(seconds=args.seconds, idle_s=min(args.seconds, 2.0))
            rounds.run(peers, plan, turns=args.turns, report=report)
    record = _record(rounds, args.seconds, args.turns)
    screen.table(*table(rounds.turns, {p.name: p.title for p in SYSTEMS.values()}))
    for figure, found in record.figures.items():
        if not figure.startswith("peers_"):
            screen.say(f"{figure}: {found['value']:.4g} {found['unit']} {found['spread']}")
    if args.out is not None:
        screen.note(f"wrote {record.save(args.out)}")
    return record


def _record(rounds: Rounds, seconds: float, turns: int) -> Record:
    record = Record(
        "peers",
        _QUESTION,
        bundle=rounds.material.bundle.digest,
        cores=rounds.cores,
        seconds=seconds,
        turns=turns,
        windows=_WINDOWS,
        deadline_s=DEADLINE_S,
        in_time=IN_TIME,
        in_flight_saturated=IN_FLIGHT,
        budget_ms_free=BUDGET_MS,
        accuracy_floor=FLOOR,
    )
    fill(record, rounds.turns, rounds.material.accuracies, cores=rounds.cores)
    record.add("systems", describe([p for p in SYSTEMS.values() if p.name in rounds.turns]))
    record.add("left_out", rounds.left_out)
    record.add("accuracies", rounds.material.accuracies)
    record.add("packages", rounds.packages)
    record.add("turns", rounds.turns)
    return record


def parser() -> argparse.ArgumentParser:
    """The command line."""
    commands = argparse.ArgumentParser(
        prog="python -m benchmarks.peers",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    others = [peer.name for peer in SYSTEMS.values() if not peer.is_ours]
    add = commands.add_argument
    add("--peers", nargs="*", choices=others, default=others, metavar="PEER",
        help=f"which, beside ours ({' '.join(others)})")  # fmt: skip
    add("--seconds", type=float, default=1.5, help="length of each stretch (1.5)")
    add("--turns", type=int, default=3, help="of each system (3)")
    add("--install", action="store_true", help="only build the environments")
    add("--check", action="store_true", help="only start each and compare its answers")
    add("--environments", type=Path, default=ENVIRONMENTS, help=f"where ({ENVIRONMENTS})")
    add("--models", type=Path, default=Path("models"), help="directory of bundles (models)")
    add("--model", default="dsads-maestro/1", help="NAME/VERSION (dsads-maestro/1)")
    add("--out", type=Path, default=Path("benchmarks"), help="where the record goes (benchmarks)")
    add("--no-record", dest="out", action="store_const", const=None, help="keep no record")
    add("--quiet", action="store_true", help="no progress")
    return commands

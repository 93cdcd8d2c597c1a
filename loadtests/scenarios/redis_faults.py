"""What do requests notice when Redis fails, and how soon is it used again?"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from loadtests.bench import Bench, Demand
from loadtests.client import Shot, Target, replay
from loadtests.mask_asks import SETTINGS, asking_messages
from loadtests.outcome import Outcome
from loadtests.redis_faults import ABSENT, FAULTS, Fault, Stage
from loadtests.redis_server import redis_running
from loadtests.server import Server
from loadtests.slow_relay import slow_relay
from sentryfuse.bench.record import Record

RECORD = "loadtest-redis"
_AHEAD_S = 0.5  # between handing a schedule over and its first request
_POLL_S = 0.05
_COUNTED = re.compile(
    r'^sentryfuse_(?:mask_cache_total\{outcome="(\w+)",tier="redis"\}|redis_failures_total'
    r'\{reason="(\w+)"\}) (\S+)$',
    re.MULTILINE,
)
Counts = dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """A stretch with a healthy Redis, one with a fault, and what follows its end."""

    fault: str
    healthy: tuple[Outcome, ...]
    faulty: tuple[Outcome, ...]
    after: tuple[Outcome, ...]
    recovery_s: float | None
    """From the end of the fault to the next mask found in Redis; None if there was none."""
    counted_healthy: Counts
    counted_faulty: Counts

    @property
    def failed(self) -> list[Outcome]:
        """Requests without a good answer, in all three."""
        return [o for o in (*self.healthy, *self.faulty, *self.after) if o.status != 200]

    def to_json(self) -> dict[str, Any]:
        """Plain data for a record."""
        return {
            "fault": self.fault,
            "requests": len(self.healthy) + len(self.faulty) + len(self.after),
            "failed": [o.to_json() for o in self.failed],
            "healthy_s": _rounded(self.healthy),
            "faulty_s": _rounded(self.faulty),
            "after_s": _rounded(self.after),
            "recovery_s": self.recovery_s,
            "redis_in_healthy": self.counted_healthy,
            "redis_in_faulty": self.counted_faulty,
        }


def run(
    bench: Bench,
    *,
    seconds: float = 15.0,
    recovery_seconds: float = 4.0,
    rate_hz: float = 20.0,
    sensors: int = 1,
    faults: Sequence[str] | None = None,
) -> Record:
    """Let one fault after another befall the Redis of a server under a steady load.

    Args:
        bench: Where.
        seconds: Length of each stretch, healthy and faulty.
        recovery_seconds: How long the load goes on after the fault.
        rate_hz: Requests per second, evenly spaced.
        sensors: Least number of sensors in a request.
        faults: Names; all if not given.
    """
    wanted = [f for f in (ABSENT, *FAULTS) if faults is None or f.name in faults]
    load = _Load(
        bench,
        asking_messages(bench.bundle, sensors=sensors),
        rate_hz=rate_hz,
        seconds=seconds,
        recovery_seconds=recovery_seconds,
    )
    with bench.screen.progress() as report:
        turns: list[Turn] = []

        def told(turn: Turn) -> None:
            turns.append(turn)
            report("faults", len(turns), len(wanted), turn.fault)

        report("faults", 0, len(wanted))
        if ABSENT in wanted:
            told(_absent_at_start(bench, load))
        for turn in _others(bench, load, [f for f in wanted if f is not ABSENT]):
            told(turn)
    record = bench.record(
        RECORD,
        "What do requests notice when the Redis behind them fails, and how soon is it used again?",
        Demand(rate_hz=rate_hz, deadline_s=0.0, capacity_hz=None),  # no request has a deadline
        seconds=seconds,
        recovery_seconds=recovery_seconds,
        server_settings=SETTINGS,
    )
    _add_figures(record, turns)
    record.add("turns", [turn.to_json() for turn in turns])
    _show(bench, turns)
    return record


@dataclass(frozen=True)
class _Load:
    """A steady stream of requests that all need Redis."""

    bench: Bench
    messages: tuple[bytes, ...]
    rate_hz: float
    seconds: float
    recovery_seconds: float

    def turn(self, server: Server, stage: Stage, fault: Fault, *, healthy: bool = True) -> Turn:
        """Send the stream while a fault comes and goes.

        Args:
            server: Whom to ask.
            stage: Its Redis.
            fault: What happens to that.
            healthy: Whether there is a stretch before it; if not, it has struck already.
        """
        stretch = round(self.seconds * self.rate_hz)
        strike = stretch if healthy else 0
        end = strike + stretch
        shots = self._shots(end + round(self.recovery_seconds * self.rate_hz))
        start_s = time.monotonic() + _AHEAD_S
        target = Target(host=server.host, port=server.port)
        sent = self.bench.submit(replay, target, self.messages, shots, start_s)
        before = _counts(server)
        _sleep_until(start_s + strike / self.rate_hz)
        between = _counts(server)
        if healthy:
            fault.strike(stage)
        _sleep_until(start_s + end / self.rate_hz)
        after = _counts(server)
        fault.end(stage)
        recovery_s = _time_to_hit(server, self.recovery_seconds)
        outcomes = sent.result().outcomes
        return Turn(
            fault=fault.name,
            healthy=outcomes[:strike],
            faulty=outcomes[strike:end],
            after=outcomes[end:],
            recovery_s=recovery_s,
            counted_healthy=_difference(before, between),
            counted_faulty=_difference(between, after),
        )

    def warm_up(self, server: Server) -> None:
        """Ask for everything twice, so that Redis holds it."""
        shots = self._shots(2 * len(self.messages))
        target = Target(host=server.host, port=server.port)
        self.bench.submit(replay, target, self.messages, shots, 0.0).result()

    def _shots(self, number: int) -> list[Shot]:
        return [Shot(i / self.rate_hz, i % len(self.messages)) for i in range(number)]


def _absent_at_start(bench: Bench, load: _Load) -> Turn:
    with ExitStack() as stack:
        stage = _stage(stack)
        ABSENT.strike(stage)
        server = stack.enter_context(bench.server(redis_url=_url(stage), **SETTINGS))
        load.warm_up(server)
        return load.turn(server, stage, ABSENT, healthy=False)


def _others(bench: Bench, load: _Load, faults: Sequence[Fault]) -> Iterable[Turn]:
    with ExitStack() as stack:
        stage = _stage(stack)
        server = stack.enter_context(bench.server(redis_url=_url(stage), **SETTINGS))
        for fault in faults:
            load.warm_up(server)
            yield load.turn(server, stage, fault)


def _stage(stack: ExitStack) -> Stage:
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="redis-")))
    redis = stack.enter_context(redis_running(folder, password="right"))
    return Stage(redis, stack.enter_context(slow_relay(redis.port)))


def _url(stage: Stage) -> str:
    return f"redis://:{stage.server.password}@127.0.0.1:{stage.relay.port}/0"


def _counts(server: Server) -> Counts:
    """What the server counted of Redis so far: look-ups by outcome, failures by reason."""
    text = server.ask("GET", "/metrics").decode()
    return {
        outcome or f"failed: {reason}": float(value)
        for outcome, reason, value in _COUNTED.findall(text)
    }


def _difference(before: Counts, after: Counts) -> Counts:
    found = {name: value - before.get(name, 0.0) for name, value in after.items()}
    return {name: value for name, value in found.items() if value}


def _time_to_hit(server: Server, patience_s: float) -> float | None:
    began_s = time.monotonic()
    before = _counts(server).get("hit", 0.0)
    while time.monotonic() < began_s + patience_s:
        time.sleep(_POLL_S)
        if _counts(server).get("hit", 0.0) > before:
            return time.monotonic() - began_s
    return None


def _rounded(outcomes: Iterable[Outcome]) -> list[float | None]:
    return [None if o.latency_s is None else round(o.latency_s, 5) for o in outcomes]


def _p99_s(outcomes: Iterable[Outcome]) -> float:
    latencies = [o.latency_s for o in outcomes if o.latency_s is not None]
    return float(np.quantile(latencies, 0.99)) if latencies else float("nan")


def _sleep_until(at_s: float) -> None:
    time.sleep(max(at_s - time.monotonic(), 0.0))


def _add_figures(record: Record, turns: Sequence[Turn]) -> None:
    failed = {turn.fault: float(len(turn.failed)) for turn in turns}
    record.add_figure("redis_fault_failed", sum(failed.values()), "requests", failed)
    healthy_s = _p99_s(o for turn in turns for o in turn.healthy)
    extra = {turn.fault: _p99_s(turn.faulty) - healthy_s for turn in turns}
    spread = {"p99_healthy": healthy_s, **extra}
    record.add_figure("redis_fault_p99_extra_seconds", max(extra.values()), "s", spread)
    never = float("inf")
    recovery = {t.fault: never if t.recovery_s is None else t.recovery_s for t in turns}
    record.add_figure("redis_fault_recovery_seconds", max(recovery.values()), "s", recovery)
    looked_up = sum(sum(v for k, v in t.counted_healthy.items() if ":" not in k) for t in turns)
    asked = sum(len(turn.healthy) for turn in turns)
    record.add_figure("redis_fault_look_ups_per_request", looked_up / max(asked, 1), "1")


def _show(bench: Bench, turns: Sequence[Turn]) -> None:
    bench.screen.table(
        ("fault", "failed", "p99 healthy", "p99 faulty", "back after", "Redis meanwhile"),
        [
            [
                turn.fault,
                f"{len(turn.failed)}",
                f"{1e3 * _p99_s(turn.healthy):.0f} ms",
                f"{1e3 * _p99_s(turn.faulty):.0f} ms",
                "never" if turn.recovery_s is None else f"{turn.recovery_s:.2f} s",
                ", ".join(f"{k} {v:.0f}" for k, v in sorted(turn.counted_faulty.items())),
            ]
            for turn in turns
        ],
    )

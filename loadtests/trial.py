"""One trial: one trace replayed against one running server, with all the weather it brings."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from http.client import HTTPException
from typing import Any

from loadtests.client import Target, Volley, replay
from loadtests.messages import budget_headers, make_volley
from loadtests.neighbour import neighbour, stretches
from loadtests.score import Score, by_second, score, tally
from loadtests.server import Server, ServerError
from loadtests.watch import MachineUse, PowerSample, Watch
from sentryfuse.bench.policies.traces import Trace
from sentryfuse.bundle import Bundle

_LEAD_S = 0.5
"""From handing the schedule to the client until its first request is due."""

Submit = Callable[..., Future[Volley]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What came of one trace on one server; times count from the start of the trace."""

    trace: Trace
    policy: str
    volley: Volley
    power: tuple[PowerSample, ...]
    caps: tuple[tuple[float, float | None], ...]
    """Steps of the cap as they were made: when the server had confirmed each."""
    metrics: tuple[dict[str, float], ...]
    machine: MachineUse
    idle_power_w: float
    neighbour_cpu_s: float
    """CPU time that a neighbour took."""
    readings_missed: int
    began_late_s: float
    """How long after the start of the trace the client's clock began; 0 unless it was kept."""

    @property
    def score(self) -> Score:
        """How well requests were served."""
        return score(self.volley.outcomes, self.trace.deadline_s)

    @property
    def node_energy_j(self) -> float:
        """Active energy by the server's meter for each request that was answered in time."""
        first, last = self.power[0], self.power[-1]
        idle_j = self.idle_power_w * (last.at_s - first.at_s)
        return (last.energy_j - first.energy_j - idle_j) / max(self.score.in_time, 1)

    def to_json(self) -> dict[str, Any]:
        """Everything a record needs, as plain data."""
        return {
            "trace": self.trace.name,
            "seed": self.trace.seed,
            "policy": self.policy,
            "duration_s": self.trace.duration_s,
            "deadline_s": self.trace.deadline_s,
            "score": self.score.to_json(),
            "node_energy_j": self.node_energy_j,
            "by_second": by_second(self.volley.outcomes, self.trace.duration_s),
            **tally(self.volley.outcomes),
            "client_cpu_s_per_request": self.volley.cpu_s / len(self.volley.outcomes),
            "machine": asdict(self.machine),
            "neighbour_cpu_s": self.neighbour_cpu_s,
            "caps": self.caps,
            "power": [(round(s.at_s, 4), s.energy_j, s.cap_w) for s in self.power],
            "metrics": self.metrics,
            "readings_missed": self.readings_missed,
            "began_late_s": self.began_late_s,
        }


def run_trial(
    server: Server,
    submit: Submit,
    trace: Trace,
    bundle: Bundle,
    *,
    policy: str,
    strict: bool = True,
    every_s: float = 0.5,
) -> Trial:
    """Replay a trace: requests on time, caps set when they change, CPU time taken by a neighbour.

    Args:
        server: Ready for requests.
        submit: Runs the client (:func:`loadtests.client.client_process`).
        trace: At least one request.
        bundle: The model served.
        policy: Name of the policy that the server runs, for the record.
        strict: Whether requests rather fail than be late.
        every_s: Between two readings of the server's meter.
    """
    headers = budget_headers(latency_s=trace.deadline_s, strict=strict)
    messages, schedule = make_volley(trace.arrivals, bundle, headers)
    idle_power_w = float(server.power()["idle_power_w"])
    with neighbour(stretches(trace.slowdowns, trace.duration_s)) as taker:
        start_s = time.monotonic() + _LEAD_S
        if taker is not None:
            taker.begin(start_s)
        target = Target(host=server.host, port=server.port)
        with _caps(server, trace.caps, start_s) as made, Watch(server, every_s=every_s) as watch:
            volley: Volley = submit(replay, target, messages, schedule, start_s).result()
            time.sleep(max(start_s + trace.duration_s - time.monotonic(), 0.0))
        taken_cpu_s = taker.taken_cpu_s() if taker is not None else 0.0
    power = tuple(PowerSample(s.at_s - start_s, s.energy_j, s.cap_w) for s in watch.power)
    return Trial(
        trace=trace,
        policy=policy,
        volley=volley,
        power=power,
        caps=tuple((at_s - start_s, cap_w) for at_s, cap_w in made),
        metrics=tuple({**m, "at_s": round(m["at_s"] - start_s, 3)} for m in watch.metrics),
        machine=watch.machine,
        idle_power_w=idle_power_w,
        neighbour_cpu_s=taken_cpu_s,
        readings_missed=watch.missed,
        began_late_s=volley.began_s - start_s,
    )


@contextmanager
def _caps(
    server: Server, steps: Sequence[tuple[float, float | None]], start_s: float
) -> Iterator[list[tuple[float, float | None]]]:
    """Set the cap on time while the block runs; lift it in the end.

    Yields:
        The steps made so far: when the server confirmed each, and the cap.

    Raises:
        ServerError: The server did not take one.
    """
    made: list[tuple[float, float | None]] = []
    failures: list[Exception] = []
    over = threading.Event()

    def follow() -> None:
        for at_s, cap_w in steps:
            if over.wait(max(start_s + at_s - time.monotonic(), 0.0)):
                return
            try:
                server.set_cap(cap_w)
            except (OSError, HTTPException, ServerError) as error:
                failures.append(error)
                return
            made.append((time.monotonic(), cap_w))

    thread = threading.Thread(target=follow, name="caps", daemon=True)
    thread.start()
    try:
        yield made
    finally:
        over.set()
        thread.join()
        server.set_cap(None)
    if failures:
        raise failures[0]

"""What the server and the machine report while they are under load."""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

from loadtests.server import Server, ServerError

_TICKS_HZ = os.sysconf("SC_CLK_TCK")
_WATCHED = (
    "sentryfuse_queue_depth",
    "sentryfuse_slowdown_ratio",
    "sentryfuse_shed_total",
    "sentryfuse_budget_total",
    "sentryfuse_node_energy_joules_total",
    "sentryfuse_batch_size_sum",
    "sentryfuse_batch_size_count",
)


@dataclass(frozen=True, slots=True)
class PowerSample:
    """One answer of ``GET /v1/power``."""

    at_s: float
    """``time.monotonic()`` in the middle of the call."""
    energy_j: float
    """The server's meter, a counter."""
    cap_w: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineUse:
    """CPU seconds by who took them, over one stretch of time and all cores."""

    wall_s: float
    cores: int
    busy_s: float
    """All processes of this machine."""
    stolen_s: float
    """By the hypervisor, for other machines."""
    server_s: float


class Watch:
    """Reads ``GET /v1/power`` and ``/metrics`` now and then, on a thread, while a block runs.

    Args:
        server: Whom to ask.
        every_s: Between two readings of the power.
        metrics_every_s: Between two scrapes. As often as Prometheus does unless told otherwise:
            a scrape takes milliseconds of the server's time, which its requests feel.
    """

    def __init__(
        self, server: Server, *, every_s: float = 0.5, metrics_every_s: float = 15.0
    ) -> None:
        self.power: list[PowerSample] = []
        self.metrics: list[dict[str, float]] = []
        """Chosen samples by name, with the time of the scrape under ``at_s``."""
        self.missed = 0
        """Readings that failed."""
        self._server = server
        self._every_s = every_s
        self._metrics_every_s = metrics_every_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watch", daemon=True)

    def __enter__(self) -> Watch:
        self._before = _machine(self._server.pid)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        self._thread.join()
        after = _machine(self._server.pid)
        wall_s, busy_s, stolen_s, server_s = (
            b - a for a, b in zip(self._before, after, strict=True)
        )
        self.machine = MachineUse(
            wall_s=wall_s,
            cores=os.cpu_count() or 1,
            busy_s=busy_s,
            stolen_s=stolen_s,
            server_s=server_s,
        )

    def _run(self) -> None:
        next_s = scrape_s = time.monotonic()
        while not self._stop.wait(max(next_s - time.monotonic(), 0.0)):
            try:
                self._read_power()
                if time.monotonic() >= scrape_s:
                    scrape_s += self._metrics_every_s
                    self._scrape()
            except (OSError, HTTPException, ServerError):
                self.missed += 1
            next_s = max(next_s + self._every_s, time.monotonic())

    def _read_power(self) -> None:
        asked_s = time.monotonic()
        answer: dict[str, Any] = self._server.power()
        at_s = (asked_s + time.monotonic()) / 2
        self.power.append(PowerSample(at_s, answer["energy_j"], answer["cap_w"]))

    def _scrape(self) -> None:
        at_s = time.monotonic()
        text = self._server.ask("GET", "/metrics").decode()
        self.metrics.append({"at_s": at_s, **watched_metrics(text)})


def watched_metrics(text: str) -> dict[str, float]:
    """Pick the samples that tell how a load test went out of Prometheus' text format."""
    found = {}
    for line in text.splitlines():
        if line.startswith(_WATCHED):
            name, _, value = line.rpartition(" ")
            found[name] = float(value)
    return found


def _machine(pid: int) -> tuple[float, float, float, float]:
    """Wall clock, busy and stolen time of all cores, and CPU time of a process, in seconds."""
    columns = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0].split()[1:]
    user, nice, system, _, _, irq, softirq, stolen = map(int, columns[:8])
    process = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2].split()
    busy = user + nice + system + irq + softirq
    ticks = (busy, stolen, int(process[11]) + int(process[12]))
    return (time.monotonic(), *(count / _TICKS_HZ for count in ticks))  # type: ignore[return-value]

"""What every scenario needs: the bundle, servers of a policy, a client, and someone to tell."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

from loadtests.client import Target, client_process, saturate
from loadtests.contenders import OURS
from loadtests.messages import infer_message, request_body
from loadtests.server import Server, running
from loadtests.trial import Submit
from sentryfuse.bench.policies.traces import Trace, make_trace
from sentryfuse.bench.record import Record
from sentryfuse.bundle import Bundle, read_bundle
from sentryfuse.cli.screen import Report, Screen

_IN_FLIGHT = 16
_SMALLEST = "fixed-900"
_EVERYTHING = {"warm_all": True, "max_variants": 1024}


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """How much is asked of a server."""

    rate_hz: float
    """Mean requests per second."""
    deadline_s: float
    """Latency budget of each."""
    capacity_hz: float | None
    """What the smallest variant could carry, if that was measured."""
    windows: int = 1
    """In each request."""

    def __str__(self) -> str:
        text = f"{self.rate_hz:.0f} requests/s"
        return text if self.capacity_hz is None else f"{text} of {self.capacity_hz:.0f} possible"


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Where and on what to measure.

    Args:
        models: Directory of bundles.
        model: Name of the one that is asked.
        bundle: Its newest version.
        profiles: Directory of host profiles: measured by the first server, read by the others.
        submit: Runs the client in its own process.
        screen: For people.
        settings: Of every server, beside the scenario's own.
    """

    models: Path
    model: str
    bundle: Bundle
    profiles: Path
    submit: Submit
    screen: Screen
    settings: Mapping[str, object] = field(default_factory=dict)

    @contextmanager
    def server(
        self,
        policy: str = OURS,
        *,
        profiles: Path | None = None,
        on_cores: Iterable[int] | None = None,
        **settings: object,
    ) -> Iterator[Server]:
        """Run a server on all cores, with every variant in memory before it is ready.

        Args:
            policy: Name of the policy that schedules.
            profiles: Another directory of host profiles.
            on_cores: Cores that it may use; None for all.
            settings: More settings of the service.
        """
        chosen = self.chosen(**{"profiles": profiles or self.profiles, **settings})
        with running(policy, chosen, on_cores=on_cores) as server:
            yield server

    def chosen(self, **settings: object) -> dict[str, object]:
        """All settings of a server that has some of its own."""
        return {
            "models": self.models,
            "default_model": self.model,
            "profiles": self.profiles,
            **_EVERYTHING,
            **self.settings,
            **settings,
        }

    def demand(
        self,
        *,
        rate_hz: float | None,
        load: float,
        deadline_s: float,
        capacity_seconds: float,
        report: Report,
        windows: int = 1,
        on_cores: Iterable[int] | None = None,
    ) -> Demand:
        """Say how much to ask for.

        Args:
            rate_hz: Requests per second; None for a part of what the smallest variant can carry.
            load: That part.
            deadline_s: Latency budget of each request.
            capacity_seconds: How long to measure what can be carried.
            report: Told of the measurement.
            windows: In each request.
            on_cores: Cores that the server may use; None for all.
        """
        capacity_hz = None
        if rate_hz is None:
            report("capacity", 0, 1)
            capacity_hz = self._capacity_hz(capacity_seconds, windows, on_cores)
            report("capacity", 1, 1, f"{capacity_hz:.0f} requests/s")
            rate_hz = load * capacity_hz
        return Demand(
            rate_hz=rate_hz, deadline_s=deadline_s, capacity_hz=capacity_hz, windows=windows
        )

    def trace(self, name: str, demand: Demand, *, seconds: float, seed: int) -> Trace:
        """Draw a trace for the model that is asked."""
        drawn = make_trace(
            name,
            rate_hz=demand.rate_hz,
            duration_s=seconds,
            deadline_s=demand.deadline_s,
            seed=seed,
            num_modalities=len(self.bundle.spec.modalities),
        )
        arrivals = tuple(replace(arrival, windows=demand.windows) for arrival in drawn.arrivals)
        return replace(drawn, arrivals=arrivals)

    def record(self, name: str, question: str, demand: Demand, **settings: object) -> Record:
        """Begin a record with what every scenario depends on."""
        chosen = {"bundle": self.bundle.digest, **asdict(demand), **settings}
        priority = {"real_time": os.sched_getscheduler(0) != os.SCHED_OTHER, "nice": os.nice(0)}
        return Record(name, question, **chosen, service=dict(self.settings), priority=priority)

    def _capacity_hz(
        self, seconds: float, windows: int, on_cores: Iterable[int] | None = None
    ) -> float:
        """Requests per second with everything that one takes: client, HTTP and inference.

        All sensors are present, and the smallest variant answers in batches.
        """
        everything = self.bundle.spec.full_presence.bits
        message = infer_message(request_body(self.bundle, everything, windows=windows), {})
        with self.server(_SMALLEST, on_cores=on_cores) as server:
            target = Target(host=server.host, port=server.port)
            volley = self.submit(
                saturate, target, (message,), in_flight=_IN_FLIGHT, seconds=seconds
            ).result()
        done = [o for o in volley.outcomes if o.status == 200]
        return len(done) / volley.duration_s


@contextmanager
def bench(models: Path, model: str, *, quiet: bool = False, **settings: object) -> Iterator[Bench]:
    """Have a client process and a place for host profiles while the block runs.

    Args:
        models: Directory of bundles.
        model: NAME/VERSION of the one that is asked: the newest of its name.
        quiet: Show no progress.
        settings: Of every server.
    """
    with client_process() as submit, tempfile.TemporaryDirectory() as profiles:
        yield Bench(
            models=models,
            model=model.partition("/")[0],
            bundle=read_bundle(models / model),
            profiles=Path(profiles),
            submit=submit,
            screen=Screen(quiet=quiet),
            settings=settings,
        )

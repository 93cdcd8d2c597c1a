"""What every scenario needs: the bundle, servers of a policy, a client, and someone to tell."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loadtests.client import Target, client_process, saturate
from loadtests.contenders import OURS
from loadtests.messages import infer_message, request_body
from loadtests.server import Server, running
from loadtests.trial import Submit
from sentryfuse.bundle import Bundle, read_bundle
from sentryfuse.cli.screen import Screen

_IN_FLIGHT = 16


@dataclass(frozen=True, kw_only=True)
class Bench:
    """Where and on what to measure.

    Args:
        models: Directory of bundles.
        model: Name and version of the one that is asked; it must be the default one.
        profiles: Directory of host profiles: measured by the first server, read by the others.
        submit: Runs the client in its own process.
        screen: For people.
        settings: Of every server, beside the scenario's own.
    """

    models: Path
    model: str
    profiles: Path
    submit: Submit
    screen: Screen
    settings: Mapping[str, object] = field(default_factory=dict)

    @property
    def bundle(self) -> Bundle:
        """The model that is asked."""
        return read_bundle(self.models / self.model)

    @contextmanager
    def server(
        self, policy: str = OURS, *, profiles: Path | None = None, **settings: object
    ) -> Iterator[Server]:
        """Run a server on all cores.

        Args:
            policy: Name of the policy that schedules.
            profiles: Another directory of host profiles.
            settings: More settings of the service.
        """
        chosen = {
            "models": self.models,
            "default_model": self.model.partition("/")[0],
            "profiles": profiles or self.profiles,
            **self.settings,
            **settings,
        }
        with running(policy, chosen) as server:
            yield server

    def capacity_hz(self, server: Server, seconds: float) -> float:
        """Requests per second with everything that a request takes on this machine.

        Client, HTTP and inference share the cores, as they do in every load test.

        Args:
            server: Best one that runs the smallest variant only.
            seconds: How long to keep it busy.
        """
        bundle = self.bundle
        message = infer_message(request_body(bundle, bundle.spec.full_presence.bits), {})
        target = Target(host=server.host, port=server.port)
        volley = self.submit(
            saturate, target, (message,), in_flight=_IN_FLIGHT, seconds=seconds
        ).result()
        done = [o for o in volley.outcomes if o.status == 200]
        return len(done) / volley.duration_s


@contextmanager
def bench(models: Path, model: str, *, quiet: bool = False, **settings: Any) -> Iterator[Bench]:
    """Have a client process and a place for host profiles while the block runs."""
    with client_process() as submit, tempfile.TemporaryDirectory() as profiles:
        yield Bench(
            models=models,
            model=model,
            profiles=Path(profiles),
            submit=submit,
            screen=Screen(quiet=quiet),
            settings=settings,
        )

"""Running the app: uvicorn, JSON logs, and a stop that loses no request."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType

import uvicorn

from app.main import create_app
from app.scheduling.fair_slack import Policy
from app.settings import Settings, load_settings
from app.telemetry.logs import configure_logging
from app.telemetry.metrics import Metrics
from app.wire import ConnectionLimits, ConnectionWatch, bounded_protocol, make_room

_KEEP_ALIVE_S = 75
_GRACE_S = 30


class DrainingServer(uvicorn.Server):
    """Lets readiness drop before it stops to listen, then finishes what is under way.

    The first signal drains; a second one stops at once. Unlike uvicorn's own, the process then
    ends as one that did what it was asked to, with exit status 0.

    Args:
        config: Uvicorn's configuration.
        drain: Called at the first signal.
        drain_s: How long to keep listening after it.
    """

    def __init__(
        self, config: uvicorn.Config, *, drain: Callable[[], None], drain_s: float
    ) -> None:
        super().__init__(config)
        self._drain = drain
        self._drain_s = drain_s
        self._draining = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop."""
        if self._draining:
            self.force_exit = self.should_exit and sig == signal.SIGINT
            self.should_exit = True
            return
        self._draining = True
        self._drain()
        if not self._drain_s:
            self.should_exit = True
            return
        timer = threading.Timer(self._drain_s, self._stop_listening)
        timer.daemon = True
        timer.start()

    def _stop_listening(self) -> None:
        self.should_exit = True


def _watch(settings: Settings, metrics: Metrics) -> ConnectionWatch:
    limits = ConnectionLimits(
        most=settings.max_connections,
        # Behind a proxy all connections are the proxy's.
        most_of_client=0 if settings.trusted_proxies else settings.max_client_connections,
        head_s=settings.header_timeout_s,
        body_s=settings.body_timeout_s,
        head_bytes=settings.max_header_bytes + settings.max_url_bytes,
    )
    return ConnectionWatch(
        limits, on_close=lambda reason: metrics.connections_closed.labels(reason).inc()
    )


def serve(settings: Settings | None = None, *, policy: Policy | None = None) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        settings: Read from the environment if not given.
        policy: Schedules in the place of ours.

    Raises:
        ConfigError: A setting makes no sense.
        BundleError: A bundle is missing, damaged or foreign.
    """
    settings = settings or load_settings()
    configure_logging(settings.log_level)
    make_room(settings.max_connections)
    app = create_app(settings, policy)
    config = uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        http=bounded_protocol(_watch(settings, app.state.metrics)),
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=_GRACE_S,
    )
    server = DrainingServer(config, drain=app.state.lifecycle.drain, drain_s=settings.drain_s)
    server.run()

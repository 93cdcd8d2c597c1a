"""Probes that tell the truth, and never wait for inference."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from starlette.responses import Response

from app.running.lifecycle import Lifecycle
from app.service import InferenceService

Answer = Callable[[], Awaitable[Response]]
"""Answers a GET that says nothing but its path."""


def _json(content: dict[str, Any], status: int = 200) -> Response:
    return Response(orjson.dumps(content), status, media_type="application/json")


class HealthApi:
    """Liveness and readiness.

    Args:
        lifecycle: Knows the phase of the service.
        service: What is served.
        version: Of the service.
    """

    def __init__(self, lifecycle: Lifecycle, service: InferenceService, version: str) -> None:
        self._lifecycle = lifecycle
        self._service = service
        self._version = version

    @property
    def answers(self) -> Mapping[str, Answer]:
        """What is answered at which path."""
        return {
            "/health/live": self.live,
            "/healthz": self.live,
            "/health/ready": self.ready,
            "/health": self.health,
        }

    async def live(self) -> Response:
        """Say whether the event loop and every inference move, or what only a restart cures."""
        ailments = self._lifecycle.ailments
        if ailments:
            return _json({"status": "stuck", "because": ailments}, 503)
        return _json({"status": "live"})

    async def ready(self) -> Response:
        """Say whether requests should be sent here, and why not."""
        phase = self._lifecycle.phase
        if phase == "ready":
            return _json({"status": "ready"})
        response = _json({"status": phase, "because": self._lifecycle.obstacles}, 503)
        response.headers["Retry-After"] = "1"
        return response

    async def health(self) -> Response:
        """Say what is served and in which state."""
        models = {
            name: {"version": model.version, "ready": model.warm}
            for name in self._service.models.names
            for model in (self._service.model(name),)
        }
        content = {"status": self._lifecycle.phase, "version": self._version, "models": models}
        return _json(content, 200 if self._lifecycle.ready else 503)

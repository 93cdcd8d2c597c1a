"""Probes in the Open Inference Protocol."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.responses import Response

from app.api.health import Answer
from app.running.lifecycle import Lifecycle


class OpenHealthApi:
    """Liveness and readiness of the server.

    Args:
        lifecycle: Knows the phase of the service.
    """

    def __init__(self, lifecycle: Lifecycle) -> None:
        self._lifecycle = lifecycle

    @property
    def answers(self) -> Mapping[str, Answer]:
        """What is answered at which path."""
        return {"/v2/health/live": self.live, "/v2/health/ready": self.ready}

    async def live(self) -> Response:
        """Say whether the process is alive."""
        alive = not self._lifecycle.ailments
        return answer({"live": alive}, good=alive)

    async def ready(self) -> Response:
        """Say whether requests should be sent here."""
        return answer({"ready": self._lifecycle.ready}, good=self._lifecycle.ready)


def answer(content: dict[str, Any], *, good: bool) -> Response:
    """Write an answer; the status says the same as the content."""
    headers = {} if good else {"Retry-After": "1"}
    status = 200 if good else 503
    return Response(orjson.dumps(content), status, headers, "application/json")
